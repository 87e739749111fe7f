// @vitest-environment node
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what is a placeholder elsewhere is text here, and has to stay text.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test, vi } from "vitest";
import {
  curl,
  type Draft,
  environment,
  go,
  requestOf,
  type SendRequest,
  splitAddresses,
  typescript,
} from "./send-code.js";

const here = fileURLToPath(new URL("../..", import.meta.url));
const root = dirname(here.replace(/\/$/, ""));
const scratch = mkdtempSync(join(tmpdir(), "send-code-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const empty: Draft = { from: "", to: "", cc: "", subject: "", text: "", html: "", tag: "" };
const plain: Draft = { ...empty, from: "app@demo.test", to: "alice@demo.test", subject: "hello", text: "it works" };

/** Everything that has a meaning in one of the four languages. */
const evil = [
  `it's "quoted" \\ back\\\\slash \\n \\u0041 \\x41 \\' \\" \\$`,
  "$HOME ${HOME} $(id) `id` \\`id\\` ${`${1}`} !! !$ %s %% #{1} & | ; < > * ? ~ ^",
  "'; rm -rf / #", // and the ways out of a literal
  '"; panic(1) //',
  "`+os.Exit(1)+`",
  "`); process.exit(1); (`",
  "*/ /* // -- <!-- </pre></script> ]]>",
  "EOF",
  "grüße 日本語 😀 👨‍👩‍👧 é ٣ עברית",
].join(" ");
const unseenOnes =
  "\0\x01\b\t\v\f\r\x1b[31m\x7f\x85\u00a0\u00ad\u200b\u200d\u200e\u2028\u2029\u202e\u2066\ufeff\ufffd\ufffe\ufff9\u{e0067}\u{10ffff}end";
const lines = "\nfirst\n\n  second\t'\"\\ $ ${x} \n`\ntrailing space \n";

const drafts: Record<string, Draft> = {
  plain,
  "nothing typed": empty,
  "every field": {
    ...plain,
    cc: "bob@demo.test, Eve <eve@demo.test>",
    html: '<p>it\'s "fine"</p>',
    tag: "kind=receipt",
  },
  "a tag without a value": { ...plain, tag: "receipt" },
  "several lines": {
    ...plain,
    text: "Dear Alice,\n\nit's here: $5 and ${x}\\n\n\tBob\n",
    html: '<p\n  class="a">\n</p>',
  },
  "several lines with backticks": { ...plain, text: lines },
  "carriage returns": { ...plain, text: "a\r\nb\rc" },
  "an @ in the front": { ...plain, from: "@/etc/passwd", subject: "@/etc/passwd", text: "@/etc/passwd" },
  "everything that has a meaning": {
    from: `"O'Neil, \\"$x\\" \`id\`" <o@demo.test>`,
    to: `"a, b; c" <a@demo.test>, ${evil.replace(/[,;]/g, "")}`,
    cc: "$(id)@demo.test; `id`@demo.test; 'x'@demo.test",
    subject: evil,
    text: evil + lines + unseenOnes,
    html: `${lines}${evil.replaceAll("`", "")}\nend`,
    tag: "k'ind`$x=va\"l${u}e\\",
  },
  "what cannot be seen": {
    ...plain,
    subject: unseenOnes,
    text: unseenOnes,
    html: `\n${unseenOnes}`,
    tag: `${unseenOnes}=${unseenOnes}`,
  },
};
const cases = Object.entries(drafts).map(([name, draft]) => [name, requestOf(draft)] as const);
const hostile = requestOf(drafts["everything that has a meaning"] ?? empty);

/** Runs a program and gives what it wrote; throws with what it said when it fails. */
function run(program: string, args: string[], input = ""): string {
  return execFileSync(program, args, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], timeout: 120_000 });
}

function has(program: string, ...args: string[]): boolean {
  try {
    run(program, args);
    return true;
  } catch {
    return false;
  }
}

const hasGo = has("go", "version");
const hasGofmt = has("sh", "-c", "command -v gofmt");
const hasBash = has("bash", "-c", ":");
const hasCurl = has("curl", "--version");

/** Go always names a tag's value, which is the same as leaving an empty one out. */
function comparable(request: unknown): unknown {
  return JSON.parse(JSON.stringify(request), (key, value) => (key === "value" && value === "" ? undefined : value));
}

/** Serves as the API, and gives what `work` has sent to it. */
async function received(work: (url: string) => Promise<void>): Promise<unknown[]> {
  const got: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    got.push(
      request.method,
      request.url,
      request.headers.authorization,
      JSON.parse(Buffer.concat(chunks).toString("utf8")),
    );
    response.writeHead(202, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ id: "eml_1", status: "queued", recipients: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return got;
}

/** Runs a program beside this one, which serves it. */
function runBeside(program: string, args: string[], env: Record<string, string>, cwd = scratch): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stdout.on("data", (text) => (said += text));
    child.stderr.on("data", (text) => (said += text));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}: ${said}`))));
  });
}

function called(request: SendRequest): unknown[] {
  return ["POST", "/v1/emails", "Bearer ms_test_x", comparable(request)];
}

test("an email has what was typed and nothing else", () => {
  expect(requestOf(empty)).toEqual({ from: "" });
  expect(requestOf(plain)).toEqual({
    from: "app@demo.test",
    to: ["alice@demo.test"],
    subject: "hello",
    text: "it works",
  });
  expect(requestOf({ ...plain, text: " two  spaces \n", tag: " kind = a=b " })).toMatchObject({
    text: " two  spaces \n",
    tags: [{ name: "kind", value: "a=b" }],
  });
  expect(requestOf({ ...empty, subject: "half \ud83d of a pair, 😀" }).subject).toBe("half \ufffd of a pair, 😀");
});

test.each([
  ["a@x.test", ["a@x.test"]],
  [" a@x.test ,; b@x.test\nc@x.test, ", ["a@x.test", "b@x.test", "c@x.test"]],
  ['"Doe, Jane; \\"J\\"" <j@x.test>, b@x.test', ['"Doe, Jane; \\"J\\"" <j@x.test>', "b@x.test"]],
  ['"open, b@x.test', ['"open', "b@x.test"]],
  [" , ", []],
])("addresses of %j are told apart", (text, want) => {
  expect(splitAddresses(text)).toEqual(want);
});

test.runIf(hasBash).each(cases)("the curl command passes exactly the request on: %s", (_, request) => {
  const command = curl(request);
  for (const shell of ["bash", "sh"]) {
    run(shell, ["-n"], command);
    const printed = run(
      shell,
      ["-s"],
      `curl() { for a in "$@"; do printf '%s\\0' "$a"; done; }\n${environment("http://x/v1", "k")}\n${command}\n`,
    );
    const args = printed.split("\0");
    expect(args).toHaveLength(9);
    expect(args.slice(0, 6)).toEqual([
      "-sS",
      "http://x/v1/emails",
      "-H",
      "Authorization: Bearer k",
      "-H",
      "Content-Type: application/json",
    ]);
    expect(JSON.parse(args[7] ?? "")).toEqual(request);
  }
});

test.runIf(hasGofmt).each(cases)("gofmt reads the Go program and would not write it otherwise: %s", (_, request) => {
  run("gofmt", ["-e"], go(request));
  expect(run("gofmt", ["-d"], go(request))).toBe("");
});

test.each(cases)("nothing in the code is unseen: %s", (_, request) => {
  for (const code of [curl(request), go(request), typescript(request)]) {
    expect(code.replace(/[\t\n]/g, "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
  }
});

test("TypeScript 7 accepts every program against the SDK", { timeout: 60_000 }, () => {
  const files = cases.map(([, request], i) => {
    writeFileSync(join(scratch, `program${i}.ts`), typescript(request));
    return `program${i}.ts`;
  });
  const compilerOptions = {
    target: "es2023",
    lib: ["es2023", "dom", "dom.iterable"],
    module: "esnext",
    moduleResolution: "bundler",
    typeRoots: [join(here, "node_modules/@types")],
    types: ["node"],
    paths: { "@mailserver-dev/sdk": [join(root, "sdk/typescript/src/index.ts")] },
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  run("node", [join(here, "node_modules/typescript7/bin/tsc"), "-p", scratch]);
});

test.runIf(hasBash && hasCurl)("curl sends the request", async () => {
  const got = await received((url) =>
    runBeside("bash", ["-c", `${environment(url, "ms_test_x")}\n${curl(hostile)}`], {}),
  );
  expect(got).toEqual(called(hostile));
});

test("the TypeScript program sends the request", async () => {
  const program = join(scratch, "program.ts");
  writeFileSync(program, typescript(hostile));
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  const got = await received(async (url) => {
    vi.stubEnv("MAILSERVER_API_URL", url);
    vi.stubEnv("MAILSERVER_API_KEY", "ms_test_x");
    await import(/* @vite-ignore */ program);
  });
  vi.unstubAllEnvs();
  expect(got).toEqual(called(hostile));
});

test.runIf(hasGo)("the Go program compiles against the SDK and sends the request", { timeout: 240_000 }, async () => {
  const example = join(root, "sdk/examples/send-go");
  writeFileSync(join(scratch, "main.go"), go(hostile));
  writeFileSync(
    join(scratch, "overlay.json"),
    JSON.stringify({ Replace: { [join(example, "main.go")]: join(scratch, "main.go") } }),
  );
  const got = await received((url) =>
    runBeside(
      "go",
      ["run", "-overlay", join(scratch, "overlay.json"), "."],
      { MAILSERVER_API_URL: url, MAILSERVER_API_KEY: "ms_test_x" },
      example,
    ),
  );
  expect(got.slice(0, 3)).toEqual(called(hostile).slice(0, 3));
  expect(comparable(got[3])).toEqual(comparable(hostile));
});
