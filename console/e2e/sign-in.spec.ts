import type { Page } from "@playwright/test";
import { expect, test } from "./support/fixtures.js";

const form = (page: Page) => ({
  address: page.getByLabel("Address"),
  password: page.getByLabel("Password"),
  submit: page.getByRole("button", { name: "sign in" }),
});

const dashboard = (page: Page) => page.getByRole("heading", { level: 1, name: "Dashboard" });

test("who mistypes the password is told, and gets in with the right one", async ({ page, mail, trouble }) => {
  const { email, password } = mail.server.info.owner;
  trouble.expect(401, /^\/v1\/auth\/sessions$/);
  await page.goto("/");
  await expect(page).toHaveURL(/\/login/);
  const { address, password: secret, submit } = form(page);
  await address.fill(email);
  await secret.fill("not the password");
  await submit.click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(address).toHaveValue(email);
  await secret.fill(password);
  await submit.click();
  await expect(dashboard(page)).toBeVisible();
  await expect(page.getByText(email, { exact: true })).toBeVisible();
});

test("who has no mouse signs in and out, and the session outlives a reload", async ({ page, mail }) => {
  const { email, password } = mail.server.info.owner;
  await page.goto("/login");
  await expect(form(page).address).toBeFocused();
  await page.keyboard.type(email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await expect(dashboard(page)).toBeVisible();

  await page.reload();
  await expect(dashboard(page)).toBeVisible();

  const signOut = page.getByRole("button", { name: "sign out" });
  await signOut.focus();
  await page.keyboard.press("Enter");
  await expect(form(page).submit).toBeVisible();
  await page.goto("/domains");
  await expect(form(page).submit, "the session has ended on the server too").toBeVisible();
});

test("who opens a link without a session comes to that page after signing in", async ({ page, mail }) => {
  const { email, password } = mail.server.info.owner;
  await page.goto("/domains?name=demo");
  const { address, password: secret, submit } = form(page);
  await address.fill(email);
  await secret.fill(password);
  await submit.click();
  await expect(page.getByRole("heading", { level: 1, name: "Domains" })).toBeVisible();
  await expect(page).toHaveURL(/\/domains\?name=demo$/);
});

test("a session never survives in what scripts can read", async ({ owner: page }) => {
  await page.goto("/");
  await expect(dashboard(page)).toBeVisible();
  const kept = await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(kept).not.toMatch(/eyJ|session|token/i);
});

test("the policy of the pages lets nothing inline and nothing foreign in (S-39)", async ({ page }) => {
  const answer = await page.goto("/login");
  const policy = answer?.headers()["content-security-policy"] ?? "";
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
  ]) {
    expect(policy).toContain(part);
  }
  expect(policy).not.toContain("unsafe");
});
