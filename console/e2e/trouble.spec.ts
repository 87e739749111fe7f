import { expect, test } from "./support/fixtures.js";
import { sidewaysAtNarrowest, violations } from "./support/looks.js";

test("the tests notice what no page may do", async ({ page, trouble, mail }) => {
  await page.goto("/login");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  expect(trouble.found).toEqual([]);
  await page.evaluate(async () => {
    console.error("an error");
    console.warn("a warning");
    console.info("an information");
    setTimeout(() => {
      throw new Error("an exception");
    });
    const script = document.createElement("script");
    script.textContent = "window.inline = true";
    document.head.append(script);
    await fetch("/v1/nothing");
    await fetch("http://127.0.0.2:9/").catch(() => undefined);
  });
  for (const what of [
    /^console error: an error/,
    /^console warning: a warning/,
    /^exception: Error: an exception/,
    /^policy violated: script-src-elem inline/,
    /^policy violated: connect-src http:\/\/127\.0\.0\.2:9\//,
    /^refused: GET \/v1\/nothing 404/,
  ]) {
    await expect.poll(() => trouble.found, { message: `${what}` }).toContainEqual(expect.stringMatching(what));
  }
  expect(trouble.found.filter((what) => what.includes("an information"))).toEqual([]);
  trouble.found.length = 0;

  await page.goto(mail.server.info.console_url.replace("127.0.0.1", "localhost"));
  await expect
    .poll(() => trouble.found)
    .toContainEqual(expect.stringMatching(/^request to somebody else: GET http:\/\/localhost/));
  trouble.found.length = 0;
  await page.goto("about:blank");
  trouble.found.length = 0;
});

test("the tests notice what not everybody can read, and what is too wide", async ({ page }) => {
  await page.goto("/login");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await page.evaluate(() => {
    const image = document.createElement("img");
    image.src = "/icon.svg";
    image.width = 400;
    document.querySelector("main")?.append(image);
  });
  expect(await violations(page)).toContainEqual(expect.stringMatching(/^image-alt: /));
  const { width, sticking } = await sidewaysAtNarrowest(page);
  expect(width).toBeGreaterThan(320);
  expect(sticking).toContainEqual(expect.stringMatching(/^img/));
});
