import assert from "node:assert/strict";
import { test } from "node:test";

import { isProblem, MailserverTimeout } from "../src/index.js";
import { sleep } from "../src/retry.js";
import { json, problem, type Reply, serve, silence } from "./server.js";

/** A signal that aborts as soon as the server has a request, and the reply that then never comes. */
function abortOnArrival(): { signal: AbortSignal; reason: Error; reply: Reply } {
  const controller = new AbortController();
  const reason = new Error("the user left");
  return { signal: controller.signal, reason, reply: () => controller.abort(reason) };
}

test("an abort ends a request that runs, with the caller's reason and without a retry", async (t) => {
  const { signal, reason, reply } = abortOnArrival();
  const fake = await serve(t, reply);
  await assert.rejects(fake.ms.domains.get("dom_1", { signal }), (e) => e === reason);
  assert.equal(fake.seen.length, 1);
});

test("an abort ends the pause before a retry", async (t) => {
  const controller = new AbortController();
  const fake = await serve(t, problem(503, "unavailable", { "Retry-After": "20" }));
  const ms = fake.client({
    fetch: async (...args) => {
      const response = await fetch(...args);
      setTimeout(() => controller.abort(), 200); // the answer is read long before
      return response;
    },
    retry: { maxDelayMs: 60_000 },
  });
  const begin = Date.now();
  await assert.rejects(ms.domains.get("dom_1", { signal: controller.signal }), { name: "AbortError" });
  assert.ok(Date.now() - begin < 10_000);
});

test("a pause ends with the reason of the abort, before or during it", async () => {
  const controller = new AbortController();
  const reason = new Error("the user left");
  const pause = sleep(60_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(pause, (e) => e === reason);
  await assert.rejects(sleep(60_000, controller.signal), (e) => e === reason);
});

test("an aborted signal sends nothing", async (t) => {
  const fake = await serve(t, silence);
  const signal = AbortSignal.abort();
  await assert.rejects(fake.ms.emails.send({ from: "a@example.test" }, { signal }), { name: "AbortError" });
  await assert.rejects(fake.ms.domains.all({}, { signal }).next(), { name: "AbortError" });
  await assert.rejects(fake.ms.emails.wait("eml_1", { signal }), { name: "AbortError" });
  assert.equal(fake.seen.length, 0);
});

test("a signal serves many calls without gathering listeners", async (t) => {
  const fake = await serve(t, problem(503, "unavailable"), json(200, {}));
  const controller = new AbortController();
  let listening = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listening++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listening--, remove(...args));
  for (let i = 0; i < 5; i++) {
    await fake.ms.domains.get("dom_1", { signal });
  }
  assert.equal(listening, 0);
});

test("wait gives the email when its result is final", async (t) => {
  const fake = await serve(t, json(200, { status: "queued" }), json(200, { status: "deferred" }), json(200, { status: "bounced" }));
  assert.equal((await fake.ms.emails.wait("eml_1")).status, "bounced");
  assert.equal(fake.seen.length, 3);
});

test("wait gives up in time and says what it saw last", async (t) => {
  const fake = await serve(t, json(200, { status: "deferred" }));
  await assert.rejects(
    fake.ms.emails.wait("eml_1", { withinMs: 60 }),
    (e) => e instanceof MailserverTimeout && e.message.includes("still deferred"),
  );
});

test("wait ends with the problem of an email that is not there", async (t) => {
  const fake = await serve(t, problem(404, "not-found"));
  await assert.rejects(fake.ms.emails.wait("eml_1"), (e) => isProblem(e, "not-found"));
});
