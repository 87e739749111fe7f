// Writes src/generated anew from the contract: node scripts/generate.mjs [FOLDER [CONTRACT]]. Written into another folder it tells
// whether the committed files are current.
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { createClient } from "@hey-api/openapi-ts";
import { load } from "js-yaml";

import { codesFile } from "./codes.mjs";
import { resourcesFile } from "./resources.mjs";

/** The document with the open lists of words in answers as choices. The codes of problems have a type of their own. */
function withWords(document) {
  const copy = structuredClone(document);
  for (const [owner, schema] of Object.entries(copy.components.schemas)) {
    for (const field of Object.values(schema.properties ?? {})) {
      if (owner !== "Problem" && field["x-extensible-enum"]) {
        field.enum = [...field["x-extensible-enum"], ...(field.type.includes("null") ? [null] : [])];
      }
    }
  }
  return copy;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const [folder = join(root, "src/generated"), contract = join(root, "../../openapi/openapi.yaml")] = process.argv.slice(2).map((a) => resolve(a));

// Beside the folder first: a contract that cannot be read must not cost the files that are there.
const fresh = `${folder}.new`;
await rm(fresh, { recursive: true, force: true });
try {
  const document = load(await readFile(contract, "utf8"));
  await createClient({
    input: { path: withWords(document) },
    output: { path: fresh, module: { extension: ".js" }, entryFile: false },
    // The generated types use these two of the platform, which a schema of the same name would hide.
    parser: { transforms: { schemaName: (name) => (name === "Blob" || name === "File" ? `${name}Info` : name) } },
    logs: { level: "silent", file: false },
    plugins: ["@hey-api/client-fetch", "@hey-api/typescript", { name: "@hey-api/sdk", client: false }],
  });
  // The generator makes this one all the same: a client for everybody, with the address in the document.
  await rm(join(fresh, "client.gen.ts"));
  await writeFile(join(fresh, "codes.gen.ts"), codesFile(document));
  await writeFile(join(fresh, "resources.gen.ts"), resourcesFile(document));
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
} finally {
  await rm(fresh, { recursive: true, force: true });
}
