import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";
import { expect, test } from "./support/fixtures.js";

interface Entry {
  id: string;
  email_id: string;
}

/** Something that a reload of the page would take away. */
const mark = (page: Page) => page.evaluate(() => Object.assign(window, { marked: true }));
const isMarked = (page: Page) => page.evaluate(() => "marked" in window);

test("who sends a test watches it wait and arrive, without a reload", async ({ owner: page, mail }) => {
  const { server, remote } = mail;
  const to = "eve@later.example";
  await page.goto("/send");
  await page.getByLabel("To", { exact: true }).fill(to);
  await page.getByLabel("Subject", { exact: true }).fill("Hello from the console");
  await page.getByRole("button", { name: "send", exact: true }).click();

  await expect(page.getByRole("heading", { level: 1, name: "Hello from the console" })).toBeVisible();
  await mark(page);
  const moments = page.getByRole("list", { name: "What happened" }).getByRole("listitem");
  await expect(moments.last()).toContainText("deferred");
  await expect(moments.last()).toContainText("451 4.3.0 come back later");
  const before = await moments.count();

  remote.accept(to);
  const { items } = await server.call<{ items: Entry[] }>("GET", "/queue/entries?destination=later.example");
  const id = new URL(page.url()).pathname.split("/").at(-1);
  await server.call("POST", `/queue/entries/${items.find((entry) => entry.email_id === id)?.id}/retry`);
  await expect(moments.last()).toContainText("delivered");
  expect(await moments.count()).toBeGreaterThan(before);
  await expect(page.getByRole("table", { name: "Recipients" }).getByRole("row", { name: to })).toContainText(
    "delivered",
  );
  expect(await isMarked(page), "the page was not loaded again").toBe(true);
});

test("the list of emails shows what programs send while it is open", async ({ owner: page, mail }) => {
  const { server } = mail;
  await page.goto("/emails");
  await expect(page.getByRole("status").filter({ hasText: "live" })).toBeVisible();
  await mark(page);
  await server.call("POST", "/emails", {
    from: `app@${server.info.domain}`,
    to: server.info.users[0]?.email,
    subject: "sent behind the page's back",
    text: "Hello.",
  });
  const row = page.getByRole("table", { name: "Emails" }).getByRole("row", { name: "sent behind the page's back" });
  await expect(row).toContainText("delivered");
  expect(await isMarked(page)).toBe(true);

  await page.getByLabel("Status", { exact: true }).selectOption("bounced");
  await expect(row).toHaveCount(0);
  await page.getByLabel("Status", { exact: true }).selectOption("delivered");
  await expect(row).toBeVisible();
  await expect(page).toHaveURL(/status=delivered/);
});

test("who forgets the recipient is told beside the field before anything is sent", async ({ owner: page, trouble }) => {
  trouble.expect(422, /^\/v1\/emails$/);
  await page.goto("/send");
  const to = page.getByLabel("To", { exact: true });
  await to.fill("not an address");
  await page.getByRole("button", { name: "send", exact: true }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(to).toHaveAttribute("aria-invalid", "true");
  await expect(page).toHaveURL(/\/send$/);
});

test("the curl command that the page shows sends what was typed", async ({ owner: page, mail }) => {
  const { server } = mail;
  const subject = `It's a "test" with $HOME and \\ in it`;
  await page.goto("/send");
  await page.getByLabel("From", { exact: true }).fill(`app@${server.info.domain}`);
  await page.getByLabel("To", { exact: true }).fill(server.info.users[1]?.email ?? "");
  await page.getByLabel("Subject", { exact: true }).fill(subject);
  const code = page.getByRole("region", { name: "The same in code" });
  for (const language of ["Go", "TypeScript", "curl"]) {
    await code.getByRole("tab", { name: language }).click();
    await expect(code.getByRole("tabpanel", { name: language })).toContainText(server.info.users[1]?.email ?? "");
  }
  const command = await code.getByRole("tabpanel", { name: "curl" }).locator("code").innerText();
  const [address, key] = ["MAILSERVER_API_URL", "MAILSERVER_API_KEY"];
  const answer = execFileSync("bash", ["-c", command], {
    env: { ...process.env, [address]: server.info.api_url, [key]: server.info.api_key },
    encoding: "utf8",
  });
  const { id } = JSON.parse(answer) as { id: string };
  expect(await server.call("GET", `/emails/${id}`)).toMatchObject({ subject });
});
