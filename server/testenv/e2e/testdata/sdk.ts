// A program outside the tree: it knows the server's address, a key and the installed package, and nothing else.
import { setTimeout } from "node:timers/promises";

import { collect, createMailserver, etagOf, isProblem } from "@mailserver-dev/sdk";

const ms = createMailserver({ url: process.env.MAILSERVER_API_URL!, apiKey: process.env.MAILSERVER_API_KEY! });

const refused: unknown = await ms.emails
  .send({ from: "shop@example.test", to: "customer@elsewhere.test", subject: "Too early", text: "x" })
  .catch((e: unknown) => e);
if (!isProblem(refused, "sender-not-verified")) throw refused;
console.log("refused:", refused.status, refused.code, refused.requestId !== "");

const domain = await ms.domains.create({ name: "example.test" });
const again: unknown = await ms.domains.create({ name: "example.test" }).catch((e: unknown) => e);
const read = await ms.domains.get(domain.id);
console.log("domain:", domain.name, domain.status, isProblem(again, "already-exists"));
console.log("unchanged:", (await ms.domains.get(domain.id, { ifNoneMatch: read })) === read, etagOf(read) !== undefined);
for (const localPart of ["a", "b", "c"]) {
  await ms.users.create({ email: `${localPart}@example.test`, password: "correct-horse-battery" });
}
const users = await collect(ms.users.all({ domain_id: domain.id, limit: 1 }));
console.log("users:", users.map((u) => u.email).sort().join(" "));

const letter = { from: "Shop <shop@example.test>", to: ["a@example.test", "customer@elsewhere.test"], subject: "Grüße", text: "Thank you." };
const sent = await ms.emails.send(letter, { idempotencyKey: "order-1" });
const twice = await ms.emails.send(letter, { idempotencyKey: "order-1" });

// The delivered event of each recipient, from the ledger.
const deadline = Date.now() + 30_000;
const ledger = () => collect(ms.events.all({ subject: sent.id, type: ["email.delivered"] }));
let seen = await ledger();
while (seen.length < letter.to.length) {
  if (Date.now() > deadline) throw new Error(`only ${seen.length} delivered events`);
  await setTimeout(50);
  seen = await ledger();
}
console.log("delivered:", seen.map((e) => (e.data as { recipient?: string }).recipient).sort().join(" "));

const email = await ms.emails.wait(sent.id);
const events = await collect(ms.emails.allEvents(sent.id, { limit: 1 }));
const delivered = events.filter((e) => e.type === "email.delivered").length;
console.log("sent:", twice.id === sent.id, email.status, delivered, (await (await ms.emails.getRaw(sent.id)).text()).includes("Thank you."));
