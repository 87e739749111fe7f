// Never run: what the compiler must allow and refuse of a program that uses this package.
import { createMailserver, type Domain, type Email, type EmailSend, isProblem, type ProblemCode, type StreamQuery } from "../src/index.js";

const ms = createMailserver({ url: "http://127.0.0.1:8080", apiKey: async () => "token" });

export async function allowed(letter: EmailSend): Promise<Email> {
  const { id } = await ms.emails.send({ from: { email: "a@example.test", name: "A" }, to: ["b@example.test", { email: "c@example.test" }], text: "x" });
  await ms.emails.send(letter, { idempotencyKey: "1", signal: AbortSignal.timeout(1), timeoutMs: 1, maxRetries: 0 });
  const names: string[] = [];
  for await (const domain of ms.domains.all({ status: "pending" })) {
    names.push(domain.name);
  }
  const domain: Domain = await ms.domains.get("dom_1");
  await ms.domains.update(domain.id, { status: "disabled" }, { ifMatch: domain });
  const raw: Blob = await ms.emails.getRaw(id);
  names.push(await raw.text());
  return ms.emails.wait(id, { withinMs: 1 });
}

export function narrowed(e: unknown): number | undefined {
  if (isProblem(e, "sender-not-verified", "recipient-invalid")) {
    const code: "sender-not-verified" | "recipient-invalid" = e.code;
    return code.length;
  }
  // A program may know codes that this package does not list.
  return isProblem(e) && e.code === "a-code-of-tomorrow" ? e.status : undefined;
}

export async function watched(signal: AbortSignal): Promise<number | undefined> {
  const query: StreamQuery = { type: ["email.*", "stats.tick"], after: "oldest" };
  for await (const event of ms.events.stream(query, { signal, lastEventId: "x", silenceMs: 1, onState: (state, why) => void [state === "open", why?.pauseMs] })) {
    const id: string | undefined = event.id;
    switch (event.kind) {
      case "stats":
        return event.data.last_minute.delivered;
      case "event":
        return event.data.subject.length + event.type.length;
      case "reset":
        // @ts-expect-error a reset has no fields
        void [event.data.subject, id];
    }
  }
  // @ts-expect-error no such filter
  ms.events.stream({ types: ["email.*"] });
  // @ts-expect-error a stream is tried again by rules of its own
  ms.events.stream({}, { maxRetries: 1 });
  return (await ms.stats.getOverview()).server?.connections.smtp;
}

export async function refused(e: unknown): Promise<void> {
  // @ts-expect-error no such code: a typing error is not found at run time
  isProblem(e, "sender-not-verfied");
  // @ts-expect-error a sender is required
  await ms.emails.send({ to: "b@example.test" });
  // @ts-expect-error no such field
  await ms.domains.create({ name: "example.test", dkim: 1 });
  // @ts-expect-error the cursor belongs to the iteration
  ms.domains.all({ cursor: "x" });
  // @ts-expect-error no such status
  await ms.domains.list({ status: "gone" });
  // @ts-expect-error reading takes no key
  await ms.domains.get("dom_1", { idempotencyKey: "x" });
  // @ts-expect-error no such code
  const code: ProblemCode = "unknown";
  void code;
}
