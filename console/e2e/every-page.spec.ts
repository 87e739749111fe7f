import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, test } from "./support/fixtures.js";
import { expectAccessible, expectNoSidewaysScroll, shot } from "./support/looks.js";
import type { Objects } from "./support/objects.js";

interface Visit {
  /** The file of the page below src/pages, as the router names it. */
  page: string;
  path: (objects: Objects) => string;
  /** The breadcrumbs; the last is the page and names the window. */
  way: (string | RegExp)[];
}

const shop = "shop.example";
const visits: Visit[] = [
  { page: "dashboard", path: () => "/", way: ["Dashboard"] },
  { page: "domains", path: () => "/domains", way: ["Dashboard", "Domains"] },
  { page: "domain-new", path: () => "/domains/new", way: ["Dashboard", "Domains", "Add a domain"] },
  { page: "domain", path: ({ domain }) => `/domains/${domain}`, way: ["Dashboard", "Domains", shop] },
  { page: "users", path: () => "/users", way: ["Dashboard", "Users"] },
  { page: "user-new", path: () => "/users/new", way: ["Dashboard", "Users", "Add a user"] },
  { page: "user", path: ({ user }) => `/users/${user}`, way: ["Dashboard", "Users", `grace@${shop}`] },
  { page: "emails", path: () => "/emails", way: ["Dashboard", "Emails"] },
  {
    page: "email",
    path: ({ deferred }) => `/emails/${deferred}`,
    way: ["Dashboard", "Emails", /^An order that takes/],
  },
  { page: "queue", path: () => "/queue", way: ["Dashboard", "Queue"] },
  { page: "destination", path: () => "/queue/elsewhere.example", way: ["Dashboard", "Queue", "elsewhere.example"] },
  { page: "send", path: () => "/send", way: ["Dashboard", "Send a test"] },
  { page: "api-keys", path: () => "/api-keys", way: ["Dashboard", "API keys"] },
  { page: "api-key-new", path: () => "/api-keys/new", way: ["Dashboard", "API keys", "Create a key"] },
];

/** Waits until the page is there with its data. */
async function settled(page: Page): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expect(page.getByText(/^Loading: /)).toHaveCount(0);
}

test("no page of the router is left out of the visits", () => {
  const router = readFileSync(new URL("../src/router.tsx", import.meta.url), "utf8");
  const known = [...router.matchAll(/import\("\.\/pages\/([a-z-]+)\.js"\)/g)].map(([, name]) => name);
  expect(visits.map(({ page }) => page).sort()).toEqual(known.sort());
});

for (const { page: name, path, way } of visits) {
  test(`${name}: everybody can read it, finds the way back and never scrolls sideways (A51, A52)`, async ({
    owner: page,
    objects,
  }) => {
    await page.goto(path(objects));
    await settled(page);
    const crumbs = page.getByRole("navigation", { name: "Breadcrumbs" }).getByRole("listitem");
    await expect(crumbs).toHaveText(way);
    await expect(crumbs.last().locator("[aria-current=page]")).toHaveCount(1);
    await expect(page).toHaveTitle(`${await crumbs.last().innerText()} - mailserver`);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    await shot(page, name);
  });
}

test("sign in: everybody can read it and never scrolls sideways", async ({ page }) => {
  await page.goto("/login");
  await settled(page);
  await expect(page).toHaveTitle("Sign in - mailserver");
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await shot(page, "login");
});

test("an address that does not exist says so and leads back", async ({ owner: page }) => {
  await page.goto("/no/such.page");
  await expect(page.getByRole("heading", { level: 1, name: "There is no such page" })).toBeVisible();
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await page.getByRole("link", { name: "to the dashboard" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
});

test("an object that is gone is told in words, with the request to ask about", async ({ owner: page, trouble }) => {
  trouble.expect(404, /^\/v1\/domains\//);
  await page.goto("/domains/dom_01h455vb4pex5vsknk084sn02q");
  await expect(page.getByRole("alert")).toContainText(/Request req_/);
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expectAccessible(page);
});
