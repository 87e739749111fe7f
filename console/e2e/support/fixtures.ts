import { test as base, expect, type Page } from "@playwright/test";
import { makeObjects, type Objects } from "./objects.js";
import { RemoteServer } from "./remote.js";
import { MailServer } from "./server.js";
import { Trouble } from "./trouble.js";

/** Domains of other people; their mail server says "later" until a test tells it to accept. */
export const elsewhere = ["later.example", "elsewhere.example", "held.example"] as const;

interface Mail {
  server: MailServer;
  remote: RemoteServer;
}

interface Fixtures {
  trouble: Trouble;
  /** A page whose browser the owner is signed in with. */
  owner: Page;
}

/** Made once, when the first test asks. */
interface Shared {
  mail: Mail;
  objects: Objects;
}

/** Every test gets the running server and fails on trouble that it did not announce. */
export const test = base.extend<Fixtures, Shared>({
  mail: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the fixtures from the pattern.
    async ({}, use) => {
      const remote = await RemoteServer.start();
      try {
        const server = await MailServer.start({
          MAILSERVER_OUTBOUND_MODE: "direct",
          MAILSERVER_OUTBOUND_ROUTES: elsewhere.map((domain) => `${domain}=${remote.address}`).join(","),
          MAILSERVER_OUTBOUND_ALLOW_NETWORKS: "127.0.0.0/8",
          // Within the time of a test only a person makes a second attempt happen.
          MAILSERVER_OUTBOUND_RETRY: "1h,1h",
        });
        try {
          await use({ server, remote });
        } finally {
          await server.stop();
        }
      } finally {
        await remote.stop();
      }
    },
    { scope: "worker", timeout: 120_000 },
  ],
  objects: [async ({ mail }, use) => use(await makeObjects(mail.server)), { scope: "worker", timeout: 90_000 }],
  baseURL: async ({ mail }, use) => use(mail.server.info.console_url),
  trouble: [
    async ({ context, mail }, use, info) => {
      const trouble = new Trouble(mail.server.info.console_url);
      await trouble.watch(context);
      await use(trouble);
      if (info.status !== info.expectedStatus) {
        await info.attach("server.log", { body: mail.server.log.slice(-100_000), contentType: "text/plain" });
      }
      expect(trouble.found, "while the console was used").toEqual([]);
    },
    { auto: true },
  ],
  owner: async ({ page, mail }, use) => {
    const { email, password } = mail.server.info.owner;
    const answer = await page.context().request.post("/v1/auth/sessions", { data: { email, password } });
    expect(answer.status(), await answer.text()).toBe(201);
    await use(page);
  },
});

export { expect };
