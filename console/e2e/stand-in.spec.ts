import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test as base, expect } from "@playwright/test";
import { expectAccessible, expectNoSidewaysScroll, shot } from "./support/looks.js";

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The folder that a binary built without Node serves, under the policy that it sends with it. */
const test = base.extend<{ site: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the fixtures from the pattern.
  site: async ({}, use) => {
    const server = createServer(({ url = "/" }, answer) => {
      const name = url === "/" ? "index.html" : url.slice(1);
      answer.setHeader("content-type", types[name.split(".").at(-1) ?? ""] ?? "text/plain");
      answer.setHeader(
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:",
      );
      answer.end(readFileSync(new URL(`../page/${name}`, import.meta.url)));
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.close();
  },
});

test("who opens a server without its console reads how to build it", async ({ page, site }) => {
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  await page.goto(site);
  await expect(page).toHaveTitle("Build the console - mailserver");
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expect(page.getByText("make build")).toBeVisible();
  for (const path of ["/docs", "/openapi.yaml", "/health/detailed"]) {
    await expect(page.getByRole("link", { name: path })).toHaveAttribute("href", path);
  }
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await shot(page, "without-console");
  expect(said).toEqual([]);
});
