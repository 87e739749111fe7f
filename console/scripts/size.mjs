// Prints how much of the console travels and fails above the budget: `npm run size`, after a build.
// A visitor's first page costs the scripts and styles that index.html names; a lazy chunk is read with the page that needs it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url));
const budget = { initial: 125, lazy: 30, styles: 6 };

/** Kilobytes (1,000 bytes) of a file as it travels. The level is that of the server. */
const packed = (name) => gzipSync(readFileSync(join(dist, name)), { level: 9 }).length / 1000;
const sum = (names) => names.reduce((all, name) => all + packed(name), 0);

const page = readFileSync(join(dist, "index.html"), "utf8");
const named = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, name]) => name);
const assets = readdirSync(join(dist, "assets")).map((name) => `assets/${name}`);

const initial = named.filter((name) => name.endsWith(".js"));
const lazy = assets.filter((name) => name.endsWith(".js") && !named.includes(name));
const styles = assets.filter((name) => name.endsWith(".css"));
if (initial.length === 0) {
  throw new Error(`${join(dist, "index.html")} names no script: is this the console?`);
}

const rows = [
  ["initial scripts", sum(initial), budget.initial],
  ...lazy.map((name) => [`lazy ${name.slice("assets/".length)}`, packed(name), budget.lazy]),
  ["styles", sum(styles), budget.styles],
];
rows.sort(([, a], [, b]) => b - a);
for (const [what, size, most] of rows) {
  console.log(`${what.padEnd(48)} ${size.toFixed(1).padStart(7)} kB of ${most}${size > most ? "  TOO MUCH" : ""}`);
}
process.exitCode = rows.some(([, size, most]) => size > most) ? 1 : 0;
