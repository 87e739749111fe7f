import { expect, test } from "./support/fixtures.js";
import type { MailServer } from "./support/server.js";

interface Email {
  id: string;
  status: string;
  recipients: { status: string; attempts: number }[];
}

const read = (server: MailServer, id: string) => server.call<Email>("GET", `/emails/${id}`);

/** Sends to an address elsewhere whose server says "later", and waits until it has said so. */
async function sendDeferred(server: MailServer, to: string, subject: string): Promise<string> {
  const { id } = await server.call<Email>("POST", "/emails", {
    from: `app@${server.info.domain}`,
    to,
    subject,
    text: "Hello.",
  });
  await server.until(`${to} is deferred`, async () => (await read(server, id)).status === "deferred");
  return id;
}

test("an admin who fixed the trouble sends a waiting letter now, not in an hour (A42)", async ({
  owner: page,
  mail,
}) => {
  const { server, remote } = mail;
  const to = "ann@later.example";
  const id = await sendDeferred(server, to, "retried by hand");

  await page.goto("/queue");
  const destination = page.getByRole("table", { name: "Destinations" }).getByRole("row", { name: "later.example" });
  await expect(destination).toContainText("451 4.3.0 come back later");
  await destination.getByRole("link", { name: "later.example" }).click();
  const recipient = page.getByRole("table", { name: "Waiting recipients" }).getByRole("row", { name: to });
  await expect(recipient).toContainText("deferred");
  expect(remote.lettersTo(to)).toEqual([]);

  remote.accept(to);
  await recipient.getByRole("button", { name: `try now: ${to}` }).click();
  await expect(page.getByRole("status", { name: "Messages" })).toContainText(`${to} is tried now`);
  await expect(recipient, "the row leaves without a reload").toHaveCount(0);
  await server.until("the letter arrived", async () => remote.lettersTo(to).length > 0);
  expect(remote.lettersTo(to)[0]?.text).toContain("Subject: retried by hand");
  expect(await read(server, id)).toMatchObject({ status: "delivered", recipients: [{ attempts: 2 }] });
});

test("a destination that is held gets nothing until it is released", async ({ owner: page, mail }) => {
  const { server, remote } = mail;
  const to = "ben@held.example";
  await sendDeferred(server, "carl@held.example", "the first");
  remote.accept(to);

  await page.goto("/queue");
  const row = page.getByRole("table", { name: "Destinations" }).getByRole("row", { name: "held.example" });
  await row.getByRole("button", { name: "hold: held.example" }).click();
  await expect(row.getByRole("button", { name: "release: held.example" })).toBeVisible();
  await expect(row.getByRole("button", { name: "try now: held.example" })).toBeDisabled();

  const { id } = await server.call<Email>("POST", "/emails", {
    from: `app@${server.info.domain}`,
    to,
    subject: "held back",
    text: "Hello.",
  });
  await row.getByRole("link", { name: "held.example" }).click();
  await expect(page.getByRole("row", { name: to }), "what is sent meanwhile waits too").toBeVisible();
  expect((await read(server, id)).recipients).toMatchObject([{ attempts: 0 }]);
  expect(remote.lettersTo(to)).toEqual([]);

  await page.getByRole("button", { name: "release: held.example" }).click();
  await server.until("the held letter arrived", async () => remote.lettersTo(to).length === 1);
  await expect(page.getByRole("row", { name: to })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "hold: held.example" })).toBeVisible();
});

test("a letter to one person is held, released and dropped on its own", async ({ owner: page, mail }) => {
  const { server } = mail;
  const to = "dora@later.example";
  const id = await sendDeferred(server, to, "dropped by hand");
  await page.goto("/queue/later.example");
  const row = page.getByRole("table", { name: "Waiting recipients" }).getByRole("row", { name: to });
  await row.getByRole("button", { name: `hold: ${to}` }).click();
  await expect(row).toContainText("held");
  await row.getByRole("button", { name: `release: ${to}` }).click();
  await expect(row.getByRole("button", { name: `hold: ${to}` })).toBeVisible();

  await row.getByRole("button", { name: `drop: ${to}` }).click();
  const dialog = page.getByRole("dialog", { name: `Drop ${to} from the queue?` });
  await dialog.getByRole("button", { name: "keep it" }).click();
  await expect(row).toBeVisible();
  await row.getByRole("button", { name: `drop: ${to}` }).click();
  await dialog.getByRole("button", { name: "drop it" }).click();
  await expect(row).toHaveCount(0);
  expect((await read(server, id)).status).toBe("cancelled");
});
