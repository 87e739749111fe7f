import { expect, test } from "./support/fixtures.js";
import { expectAccessible, expectNoSidewaysScroll, shot } from "./support/looks.js";

test("a key is shown once, works, and is refused after it was revoked", async ({ owner: page, context, mail }) => {
  const { info } = mail.server;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/api-keys");
  await page.getByRole("link", { name: "create a key" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Create a key" })).toBeVisible();
  await page.getByLabel("Name", { exact: true }).fill("the till");
  await page.getByRole("button", { name: "create the key" }).click();
  await expect(page.getByRole("heading", { name: "Save the key of “the till” now" })).toBeVisible();
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await page.getByRole("button", { name: "copy the key" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(/^ms_live_/);
  const key = await page.evaluate(() => navigator.clipboard.readText());

  const send = async () => {
    const answer = await fetch(`${info.api_url}/emails`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ from: `app@${info.domain}`, to: info.users[0]?.email, subject: "till", text: "x" }),
    });
    return answer.status;
  };
  expect(await send()).toBe(202);

  await page.getByRole("link", { name: "domains", exact: true }).click();
  await page
    .getByRole("dialog", { name: /^Leave without the key/ })
    .getByRole("button", { name: "stay" })
    .click();
  await page.getByRole("button", { name: "I have saved it" }).click();
  const row = page.getByRole("table", { name: "API keys" }).getByRole("row", { name: "the till" });
  await expect(row).toContainText("active");
  await expect(page.getByText(key.slice(12)), "the key is not shown again").toHaveCount(0);

  await row.getByRole("button", { name: "revoke the till" }).click();
  const dialog = page.getByRole("dialog", { name: "Revoke the key “the till”?" });
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await shot(page, "question");
  await dialog.getByRole("button", { name: "keep it" }).click();
  expect(await send(), "who thought again keeps the key").toBe(202);
  await row.getByRole("button", { name: "revoke the till" }).click();
  await dialog.getByRole("button", { name: "revoke the key" }).click();
  await expect(row).toContainText("revoked");
  await expect.poll(send).toBe(401);
});
