import { defineConfig } from "@playwright/test";
import { chromium } from "./e2e/support/chromium.js";

// The console of ../bin/mailserver in the system's Chromium: `make e2e`, or `npm run e2e` after `make build`.
export default defineConfig({
  testDir: "e2e",
  outputDir: "../.run/browser",
  // One server for all tests, and two cores for the server, its database and the browser.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 30_000,
  expect: { timeout: 10_000 },
  forbidOnly: true,
  reporter: "list",
  use: {
    actionTimeout: 10_000,
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: chromium(),
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
