// Removes folders of this package, so that a build holds nothing of the one before: node scripts/clean.mjs dist
import { rm } from "node:fs/promises";

for (const name of process.argv.slice(2)) {
  await rm(new URL(`../${name}`, import.meta.url), { recursive: true, force: true });
}
