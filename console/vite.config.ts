import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The server that `npm run dev` passes the API on to.
const server = process.env.CONSOLE_SERVER ?? "http://127.0.0.1:8080";

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
  },
  server: {
    proxy: Object.fromEntries(["/v1", "/health", "/docs", "/openapi.yaml"].map((path) => [path, { target: server }])),
  },
});
