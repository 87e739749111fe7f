// What users install: packed, unpacked in an empty folder elsewhere, and compiled against as they do.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "sdk-package-"));
const installed = join(home, "node_modules/@mailserver-dev/sdk");

const run = (folder, command, ...args) => {
  try {
    return execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: "pipe" });
  } catch (e) {
    throw new Error(`${command} ${args.join(" ")}\n${e.stdout}${e.stderr}`, { cause: e });
  }
};

before(() => {
  assert.ok(existsSync(join(root, "dist/index.js")), "run `npm run build` first");
  const [{ filename }] = JSON.parse(run(root, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", home));
  mkdirSync(installed, { recursive: true });
  run(home, "tar", "-xzf", filename, "--strip-components=1", "-C", installed);
});
after(() => rmSync(home, { recursive: true, force: true }));

const files = () => readdirSync(installed, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => join(f.parentPath ?? f.path, f.name));

test("the package brings nothing else and needs nothing of Node", () => {
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  assert.deepEqual([manifest.dependencies, manifest.peerDependencies, manifest.scripts?.postinstall], [undefined, undefined, undefined]);
  for (const file of files().filter((f) => f.endsWith(".js"))) {
    const code = readFileSync(file, "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    assert.doesNotMatch(code, /from ['"](?!\.{1,2}\/)|\brequire\(|\bprocess\.|\bBuffer\b/, file);
  }
});

test("the package holds what is built and nothing of this machine", () => {
  const names = files().map((f) => f.slice(installed.length + 1));
  assert.deepEqual(names.filter((n) => !n.startsWith("dist/")).sort(), ["LICENSE", "README.md", "package.json"]);
  assert.equal(readFileSync(join(installed, "LICENSE"), "utf8"), readFileSync(join(root, "../../LICENSE"), "utf8"));
  for (const file of files()) {
    assert.ok(!readFileSync(file, "utf8").includes(root), file);
  }
});

const program = `import { createMailserver, isProblem, type Domain } from "@mailserver-dev/sdk";
const ms = createMailserver({ url: "http://127.0.0.1:8080", apiKey: "x" });
const one: Promise<Domain> = ms.domains.get("dom_1");
one.catch((e: unknown) => isProblem(e, "not-found") && e.problem.errors?.[0]?.message);
`;

// The examples of the README, each a program of its own. They are for Node, where the first one belongs.
const examples = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n([^]*?)```/g)].map(([, text]) => text);

for (const compiler of ["typescript", "typescript7"]) {
  for (const [where, options] of Object.entries({
    Node: { module: "nodenext", moduleResolution: "nodenext", lib: ["es2022"], types: ["node"], typeRoots: ["types"] },
    "a bundler": { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom", "dom.iterable"], types: [] },
  })) {
    test(`${compiler} compiles a strict program for ${where}, the package's own types included`, () => {
      const folder = mkdtempSync(join(home, "program-"));
      writeFileSync(join(folder, "package.json"), '{"type":"module"}');
      const programs = [program, ...(where === "Node" ? examples : [])];
      assert.ok(examples.length > 1);
      programs.forEach((text, i) => writeFileSync(join(folder, `program${i}.ts`), text));
      // Node's types, as a program for Node has them.
      cpSync(join(root, "node_modules/@types"), join(folder, "types"), { recursive: true });
      cpSync(join(root, "node_modules/undici-types"), join(folder, "node_modules/undici-types"), { recursive: true });
      const compilerOptions = { ...options, target: "es2022", strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: programs.map((_, i) => `program${i}.ts`) }));
      run(folder, process.execPath, join(root, "node_modules", compiler, "bin/tsc"), "-p", folder);
    });
  }
}
