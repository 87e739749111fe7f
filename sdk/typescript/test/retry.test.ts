import assert from "node:assert/strict";
import { test } from "node:test";

import { isProblem, MailserverUnreachable } from "../src/index.js";
import { patience } from "../src/call.js";
import { pauseBefore, retryAfterOf, sleep } from "../src/retry.js";
import { domain, hangUp, json, problem, quick, type Reply, serve, silence } from "./server.js";

const halfAnswer: Reply = (_, response) => {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": "1000" });
  response.write('{"id":"dom', () => response.destroy());
};

for (const [what, first] of Object.entries({
  "429": problem(429, "rate-limited"),
  "502 of a proxy": json(502, "no"),
  "503": problem(503, "unavailable"),
  "504 of a proxy": json(504, "no"),
  "a connection that closes": hangUp,
  "an answer that breaks off": halfAnswer,
})) {
  test(`a read survives ${what}`, async (t) => {
    const fake = await serve(t, first, first, json(200, domain));
    assert.equal((await fake.ms.domains.get("dom_1")).name, "example.test");
    assert.equal(fake.seen.length, 3);
  });

  test(`an email is sent once and with one key in spite of ${what}`, async (t) => {
    const fake = await serve(t, first, json(202, { id: "eml_1", status: "queued", recipients: [] }));
    await fake.ms.emails.send({ from: "a@example.test", to: "b@example.test", text: "hi" });
    const [one, two] = fake.seen;
    assert.equal(fake.seen.length, 2);
    assert.match(String(one?.headers["idempotency-key"]), /^[0-9a-f]{32}$/);
    assert.equal(two?.headers["idempotency-key"], one?.headers["idempotency-key"]);
    assert.equal(two?.body, one?.body);
  });

  test(`a request that may not be repeated is not, after ${what}`, async (t) => {
    const fake = await serve(t, first);
    await assert.rejects(fake.ms.auth.createSession({ email: "a@example.test", password: "x" }));
    await assert.rejects(fake.ms.domains.update("dom_1", { status: "disabled" }));
    assert.equal(fake.seen.length, 2);
  });
}

test("a key that is still at work is waited for", async (t) => {
  const fake = await serve(t, problem(409, "idempotency-in-progress", { "Retry-After": "0" }), json(201, domain));
  assert.equal((await fake.ms.domains.create({ name: "example.test" })).id, "dom_1");
});

for (const status of [400, 401, 403, 404, 409, 412, 422, 500, 507]) {
  test(`a ${status} is not repeated`, async (t) => {
    const fake = await serve(t, problem(status, "validation-failed"));
    await assert.rejects(fake.ms.domains.get("dom_1"), (e) => isProblem(e) && e.status === status);
    assert.equal(fake.seen.length, 1);
  });
}

test("a server that stays down is given up, with its last word", async (t) => {
  const fake = await serve(t, hangUp, problem(503, "busy"));
  await assert.rejects(fake.ms.domains.get("dom_1"), (e) => isProblem(e, "busy"));
  assert.equal(fake.seen.length, 4);
  await assert.rejects(fake.ms.domains.get("dom_1", { maxRetries: 1 }));
  assert.equal(fake.seen.length, 6);
});

test("Retry-After is obeyed to the second", async (t) => {
  const fake = await serve(t, problem(429, "rate-limited", { "Retry-After": "1" }), json(200, domain));
  const begin = Date.now();
  await fake.ms.domains.get("dom_1");
  assert.ok(Date.now() - begin >= 1_000);
});

test("a caller is not held longer than it allows: the problem says when to come back", async (t) => {
  const fake = await serve(t, problem(429, "rate-limited", { "Retry-After": "3600" }));
  await assert.rejects(fake.ms.domains.get("dom_1"), (e) => isProblem(e, "rate-limited") && e.retryAfter === 3600);
  assert.equal(fake.seen.length, 1);
});

test("a server that is silent is left after the time of an attempt", async (t) => {
  const fake = await serve(t, silence);
  const ms = fake.client({ timeoutMs: 30, retry: { ...quick, maxRetries: 1 } });
  await assert.rejects(ms.domains.get("dom_1"), (e) => e instanceof MailserverUnreachable && e.message.includes("30 ms"));
  assert.equal(fake.seen.length, 2);
});

test("a large body gets the time that it needs, and no more than a file", async (t) => {
  assert.deepEqual([0, 5 << 20, 50 << 20, 500 << 20].map((length) => patience({ method: "POST" }, length)), [1, 2, 10, 10]);
  assert.equal(patience({ method: "POST", upload: true }, 0), 10);
  const fake = await serve(t, json(202, { items: [] }));
  const ms = fake.client({
    fetch: async (input) => {
      await sleep(150, (input as Request).signal);
      return Response.json({ items: [] }, { status: 202 });
    },
    timeoutMs: 50,
    retry: { maxRetries: 0 },
  });
  const large = [{ from: "a@example.test", text: "x".repeat(40 << 20) }];
  assert.deepEqual(await ms.emails.sendBatch(large), { items: [] });
  await assert.rejects(ms.emails.sendBatch([{ from: "a@example.test" }]), MailserverUnreachable);
  await assert.rejects(ms.emails.sendBatch(large, undefined, { timeoutMs: 50 }), MailserverUnreachable);
});

for (const [what, first] of Object.entries({ "a connection that closes": hangUp, "502 of a proxy": json(502, "no"), "503": problem(503, "unavailable") })) {
  test(`a deletion that is repeated after ${what} and finds nothing has succeeded`, async (t) => {
    const fake = await serve(t, first, problem(404, "not-found"));
    assert.equal(await fake.ms.domains.delete("dom_1"), undefined);
    assert.equal(fake.seen.length, 2);
  });
}

test("a deletion of what never was there is a problem", async (t) => {
  const fake = await serve(t, problem(404, "not-found"), problem(429, "rate-limited", { "Retry-After": "0" }), problem(404, "not-found"));
  await assert.rejects(fake.ms.domains.delete("dom_1"), (e) => isProblem(e, "not-found"));
  await assert.rejects(fake.ms.domains.delete("dom_1"), (e) => isProblem(e, "not-found"));
  assert.equal(fake.seen.length, 3);
  const lost = await serve(t, hangUp, problem(404, "not-found"));
  await assert.rejects(lost.ms.domains.get("dom_1"), (e) => isProblem(e, "not-found"));
  const proxy = await serve(t, hangUp, json(404, "no"));
  await assert.rejects(proxy.ms.domains.delete("dom_1"), (e) => isProblem(e, "unexpected-answer"));
});

test("no server at all is an error that says so and keeps the cause", async (t) => {
  const fake = await serve(t, silence);
  const ms = fake.client({ url: "http://127.0.0.1:1", retry: { ...quick, maxRetries: 0 } });
  await assert.rejects(ms.domains.get("dom_1"), (e) => e instanceof MailserverUnreachable && e.cause instanceof Error);
});

test("pauses double, stay below the limit and differ between clients", () => {
  const policy = { maxRetries: 9, baseDelayMs: 100, maxDelayMs: 1_000 };
  assert.deepEqual([1, 2, 3, 4, 5, 6].map((n) => pauseBefore(n, undefined, policy, 1)), [100, 200, 400, 800, 1_000, 1_000]);
  assert.deepEqual([1, 2, 3].map((n) => pauseBefore(n, undefined, policy, 0)), [50, 100, 200]);
  assert.equal(pauseBefore(1, 1, policy, 0), 1_000);
  assert.equal(pauseBefore(1, 1, policy, 0.5), 1_025);
  assert.equal(pauseBefore(1, 2, policy, 0), undefined);
});

test("Retry-After is read as seconds and as a date", () => {
  const now = Date.parse("2026-11-25T15:00:00Z");
  const of = (value: string) => retryAfterOf(new Headers({ "Retry-After": value }), now);
  assert.equal(of("7"), 7);
  assert.equal(of("Wed, 25 Nov 2026 15:01:00 GMT"), 60);
  assert.equal(of("Wed, 25 Nov 2026 14:00:00 GMT"), 0);
  assert.equal(of("soon"), undefined);
  assert.equal(retryAfterOf(new Headers(), now), undefined);
});
