import { expect, test } from "./support/fixtures.js";

interface DnsRecord {
  type: string;
  name: string;
  value: string;
}

test("who adds a domain sees what to publish, and copies it without a typing error", async ({
  owner: page,
  context,
  mail,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.goto("/domains");
  await page.getByRole("link", { name: "add a domain" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Add a domain" })).toBeVisible();
  await page.getByLabel("Name", { exact: true }).fill("museum.example");
  await page.getByRole("button", { name: "add the domain" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "museum.example" })).toBeVisible();

  const id = new URL(page.url()).pathname.split("/").at(-1);
  const { items } = await mail.server.call<{ items: DnsRecord[] }>("GET", `/domains/${id}/dns-records`);
  const table = page.getByRole("table", { name: "DNS records of museum.example" });
  // One row more than records: the heads of the columns.
  await expect(table.getByRole("row")).toHaveCount(items.length + 1);
  expect(items.map(({ type }) => type)).toEqual(expect.arrayContaining(["MX", "TXT", "SRV"]));

  for (const { type, name, value } of items.filter(({ type }) => type === "MX" || type === "TXT")) {
    await expect(table.getByText(value, { exact: true }).first()).toBeVisible();
    await table
      .getByRole("button", { name: `copy the value of the ${type} record ${name}` })
      .first()
      .click();
    await expect.poll(copied).toBe(value);
  }
  await page.getByRole("button", { name: "copy all records as a zone file" }).click();
  await expect.poll(copied).toMatch(/museum\.example\.?\s.*MX/);

  await page.getByRole("navigation", { name: "Breadcrumbs" }).getByRole("link", { name: "Domains" }).click();
  await expect(page.getByRole("link", { name: "museum.example" })).toBeVisible();
});

test("who adds a domain that is there already is told, and keeps what was typed", async ({ owner: page, trouble }) => {
  trouble.expect(409, /^\/v1\/domains$/);
  await page.goto("/domains/new");
  const name = page.getByLabel("Name", { exact: true });
  await name.fill("demo.test");
  await page.getByRole("button", { name: "add the domain" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(name).toHaveValue("demo.test");
});

test("a domain goes only after its name was typed", async ({ owner: page, mail }) => {
  const { id } = await mail.server.call<{ id: string }>("POST", "/domains", { name: "closing.example" });
  await page.goto(`/domains/${id}`);
  await page.getByRole("button", { name: "delete the domain" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete closing.example?" });
  const confirm = dialog.getByRole("button", { name: "delete the domain" });
  await confirm.click();
  await expect(dialog).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("button", { name: "delete the domain" }), "the focus is back").toBeFocused();

  await page.getByRole("button", { name: "delete the domain" }).click();
  await dialog.getByRole("textbox").fill("closing.example");
  await confirm.click();
  await expect(page).toHaveURL(/\/domains$/);
  await expect(page.getByRole("status", { name: "Messages" })).toContainText("closing.example is deleted");
  await expect(page.getByRole("link", { name: "closing.example" })).toHaveCount(0);
});

test("a filtered list is an address that can be passed on", async ({ owner: page, objects }) => {
  expect(objects.domain).toMatch(/^dom_/);
  await page.goto("/domains");
  await page.getByLabel("Name", { exact: true }).fill("shop.example");
  await expect(page).toHaveURL(/\?name=shop\.example$/);
  await expect(page.getByRole("link", { name: "shop.example" })).toBeVisible();
  await expect(page.getByRole("link", { name: "demo.test" })).toHaveCount(0);
  await page.reload();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("shop.example");
  await expect(page.getByRole("link", { name: "demo.test" })).toHaveCount(0);
});
