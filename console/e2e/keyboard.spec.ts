import { expect, test } from "./support/fixtures.js";

test("who has no mouse gets around: skip link, sections, search, rows, help", async ({ owner: page, objects }) => {
  expect(objects.domain).toBeTruthy();
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();

  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await expect(
    page.getByRole("heading", { level: 1, name: "Domains" }),
    "a screen reader hears where one is",
  ).toBeFocused();

  await expect(page.getByRole("link", { name: "shop.example" })).toBeVisible();
  await page.keyboard.press("/");
  const search = page.getByRole("searchbox", { name: "Name" });
  await expect(search).toBeFocused();
  await page.keyboard.type("gq shop");
  await expect(search, "in a field the letters are letters").toHaveValue("gq shop");
  await search.fill("shop.example");
  await expect(page.getByRole("link", { name: "demo.test" })).toHaveCount(0);
  await search.blur();
  await page.keyboard.press("j");
  await expect(page.getByRole("link", { name: "shop.example" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "shop.example" })).toBeFocused();

  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keys" });
  await expect(help).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(help).toBeHidden();
});

test("who likes the dark keeps it", async ({ owner: page }) => {
  await page.goto("/");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
  const light = await background();
  const colours = page.getByRole("button", { name: /^Colours: / });
  await colours.click();
  await expect(colours).toHaveText("colours: light");
  await colours.click();
  await expect(colours).toHaveText("colours: dark");
  expect(await background()).not.toBe(light);
  await page.reload();
  await expect(colours).toHaveText("colours: dark");
  expect(await background()).not.toBe(light);
});
