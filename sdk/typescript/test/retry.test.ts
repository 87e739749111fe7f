import assert from "node:assert/strict";
import { test } from "node:test";

import { isProblem, MailserverUnreachable } from "../src/index.js";
import { pauseBefore, retryAfterOf } from "../src/retry.js";
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
