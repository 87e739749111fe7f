import { expect, test } from "./support/fixtures.js";
import { expectAccessible } from "./support/looks.js";

const lists = [
  { page: "/domains", table: "Domains", calls: "/v1/domains", next: "Add the first one" },
  { page: "/users", table: "Users", calls: "/v1/users", next: "Add the first one" },
  { page: "/emails", table: "Emails", calls: "/v1/emails", next: "Send a test" },
  { page: "/queue", table: "Destinations", calls: "/v1/queue/destinations", next: "emails" },
  { page: "/api-keys", table: "API keys", calls: "/v1/api-keys", next: "create a key" },
];

const failure = {
  status: 500,
  contentType: "application/problem+json",
  body: JSON.stringify({
    type: "/problems/internal",
    title: "Internal Server Error",
    status: 500,
    code: "internal",
    detail: "The disk is on fire.",
    request_id: "req_abcdefghijklmnopqrstuvwxyz",
  }),
};

for (const { page: path, table, calls, next } of lists) {
  const isList = ({ pathname }: URL) => pathname === calls;

  test(`${table}: who waits is told, and so is who waits in vain, with a way to try again`, async ({
    owner: page,
    objects,
    trouble,
  }) => {
    expect(objects.domain).toBeTruthy();
    trouble.expect(500, new RegExp(`^${calls}$`));
    let answer = () => {};
    const gate = new Promise<void>((open) => {
      answer = open;
    });
    await page.route(isList, async (route) => {
      await gate;
      await route.fulfill(failure);
    });
    await page.goto(path);
    await expect(page.getByText(`Loading: ${table}`)).toBeAttached();
    answer();
    const alert = page.getByRole("alert");
    await expect(alert).toContainText("The disk is on fire.");
    await expect(alert).toContainText("req_abcdefghijklmnopqrstuvwxyz");
    await expectAccessible(page);
    await alert.getByRole("button", { name: "try again" }).click();
    await expect(alert).toContainText("The disk is on fire.");

    await page.unroute(isList);
    // A list that hears of events may have read itself anew before the click.
    await expect(async () => {
      const again = alert.getByRole("button", { name: "try again" });
      if (await again.isVisible()) {
        await again.click({ timeout: 500 });
      }
      await expect(page.getByRole("table", { name: table, exact: true })).toBeVisible({ timeout: 1_000 });
    }).toPass();
    await expect(alert).toHaveCount(0);
  });

  test(`${table}: an empty list says what to do next, here and from a shell`, async ({ owner: page }) => {
    await page.route(isList, (route) => route.fulfill({ json: { items: [], next_cursor: null } }));
    await page.goto(path);
    await expect(page.getByRole("main").getByText(/^(mailserver|curl) /)).toBeVisible();
    await expect(page.getByRole("main").getByRole("link", { name: next, exact: true }).last()).toBeVisible();
    await expect(page.getByRole("table", { name: table, exact: true })).toHaveCount(0);
    await expectAccessible(page);
  });
}

test("a list that cannot be read again stays, and says how old it is", async ({ owner: page, trouble }) => {
  trouble.expect(500, /^\/v1\/domains$/);
  await page.goto("/domains");
  const table = page.getByRole("table", { name: "Domains", exact: true });
  await expect(table).toBeVisible();
  await page.route(
    ({ pathname }) => pathname === "/v1/domains",
    (route) => route.fulfill(failure),
  );
  const sections = page.getByRole("navigation", { name: "Sections" });
  const stale = page.getByRole("status").filter({ hasText: "could not be asked again" });
  await expect(async () => {
    await sections.getByRole("link", { name: "API keys" }).click();
    await sections.getByRole("link", { name: "domains" }).click();
    await expect(stale).toBeVisible({ timeout: 500 });
  }).toPass();
  await expect(table).toBeVisible();
});
