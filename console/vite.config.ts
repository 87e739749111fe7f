import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The server that `npm run dev` passes the API on to.
const server = process.env.CONSOLE_SERVER ?? "http://127.0.0.1:8080";

const libraries = /node_modules\/(react|react-dom|scheduler|@tanstack)\/|sdk\/typescript\/src\//;
const shell = /console\/src\/((session|cache|queries|theme|format)\.ts|ui\/(problem|field|toast|time)\.tsx)$/;

/** React, the router, the SDK and the console's own shell; not what single pages bring. */
function isBase(id: string): boolean {
  return libraries.test(id) || shell.test(id);
}

export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: {
      // The SDK from its source: what the console calls is what everybody else gets.
      "@mailserver-dev/sdk": here("../sdk/typescript/src/index.ts"),
    },
  },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The policy of the pages allows scripts and styles from files alone (S-39), so nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
    rolldownOptions: {
      output: {
        // What every page needs is one file: it compresses better than ten.
        codeSplitting: { groups: [{ name: "base", test: isBase }] },
      },
    },
  },
  server: {
    proxy: Object.fromEntries(["/v1", "/health", "/docs", "/openapi.yaml"].map((path) => [path, { target: server }])),
  },
});
