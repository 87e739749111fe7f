import { expect, test } from "./support/fixtures.js";

test("a new user can sign in with the password that the admin hands over", async ({ owner: page, mail, request }) => {
  const { domain } = mail.server.info;
  await page.goto("/users");
  await page.getByRole("link", { name: "add a user" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Add a user" })).toBeVisible();
  await page.getByLabel("Address", { exact: true }).fill("linus");
  await page.getByLabel("Domain of the address").selectOption(domain);
  await page.getByLabel("Display name").fill("Linus");
  await page.getByRole("button", { name: "make one" }).click();
  const password = await page.getByLabel("Password", { exact: true }).inputValue();
  expect(password.length).toBeGreaterThanOrEqual(12);
  await page.getByRole("button", { name: "add the user" }).click();
  await expect(page.getByRole("heading", { level: 1, name: `linus@${domain}` })).toBeVisible();
  await expect(
    page.getByRole("table", { name: `Mailboxes of linus@${domain}` }).getByRole("row", { name: "INBOX" }),
  ).toBeVisible();
  await expect(page.getByText(password), "the password is not shown again").toHaveCount(0);

  const signIn = await request.post("/v1/auth/sessions", { data: { email: `linus@${domain}`, password } });
  expect(signIn.status()).toBe(201);
});

test("a password that is too short is refused beside its field, and the rest stays typed", async ({
  owner: page,
  trouble,
}) => {
  trouble.expect(422, /^\/v1\/users$/);
  await page.goto("/users/new");
  await page.getByLabel("Address", { exact: true }).fill("short");
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByRole("button", { name: "add the user" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.getByLabel("Password", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Address", { exact: true })).toHaveValue("short");
});

test("who has a mailbox and no office sees the own mail without a refusal", async ({ page, mail }) => {
  const user = mail.server.info.users[0];
  const answer = await page.context().request.post("/v1/auth/sessions", { data: user });
  expect(answer.status()).toBe(201);
  for (const path of ["/", "/emails", "/send", "/domains", "/queue", "/api-keys"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByText(/^Loading: /)).toHaveCount(0);
    await expect(page.getByRole("alert")).toHaveCount(0);
  }
});
