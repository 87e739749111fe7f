import type { MailServer } from "./server.js";

interface Named {
  id: string;
}

/** One of each kind of object, made through the API, so that every page has something to show. */
export interface Objects {
  domain: string;
  user: string;
  delivered: string;
  deferred: string;
}

const people = ["grace", "ada", "edsger", "barbara"];

export async function makeObjects(server: MailServer): Promise<Objects> {
  const domain = await server.call<Named>("POST", "/domains", { name: "shop.example" });
  await server.call("POST", "/domains", { name: "a-domain-with-quite-a-long-name.customers.example" });
  const users: Named[] = [];
  for (const name of people) {
    users.push(
      await server.call("POST", "/users", { email: `${name}@shop.example`, name, password: "a long enough password" }),
    );
  }
  await server.call("POST", "/api-keys", { name: "the shop's receipts", scopes: ["emails:send", "emails:read"] });
  await server.call("POST", "/api-keys", { name: "statistics", scopes: ["stats:read", "events:read", "emails:read"] });
  const { delivered, deferred } = await sendLetters(server);
  return { domain: domain.id, user: users[0]?.id ?? "", delivered, deferred };
}

async function sendLetters(server: MailServer): Promise<Pick<Objects, "delivered" | "deferred">> {
  const from = "orders@shop.example";
  const receipts = people.flatMap((name) =>
    [1042, 1043, 1044].map((order) => ({
      from,
      to: `${name}@shop.example`,
      subject: `Your receipt for order ${order}`,
      text: "Thank you.",
      tags: ["receipt"],
    })),
  );
  const { items } = await server.call<{ items: Named[] }>("POST", "/emails/batch", receipts);
  await server.call("POST", "/emails", {
    from,
    to: "nobody@nowhere.example",
    subject: "To a domain that is not there",
    text: "x",
  });
  const deferred = await server.call<Named>("POST", "/emails", {
    from,
    to: ["grace@elsewhere.example", "ada@elsewhere.example", "edsger@shop.example"],
    subject: "An order that takes its time on the way to three people at once",
    html: "<p>Soon.</p>",
  });
  const delivered = items[0]?.id ?? "";
  const isNow = async (id: string, wanted: string) => {
    const { status } = await server.call<{ status: string }>("GET", `/emails/${id}`);
    return status === wanted;
  };
  await server.until("a receipt arrived", () => isNow(delivered, "delivered"));
  await server.until("another mail server said later", () => isNow(deferred.id, "deferred"));
  return { delivered, deferred: deferred.id };
}
