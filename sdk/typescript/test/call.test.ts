import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, createMailserver, etagOf, isProblem, MailserverProblem } from "../src/index.js";
import { domain, json, problem, type Reply, serve } from "./server.js";

const accepted = json(202, { id: "eml_1", status: "queued", recipients: [] });
const email = { from: "a@example.test", to: ["b@example.test"], subject: "hi", text: "hi" };

const bytes = (type: string, content: Uint8Array): Reply => (_, response) => {
  response.writeHead(200, { "Content-Type": type });
  response.end(content);
};

test("a request is what the contract says", async (t) => {
  const fake = await serve(t, accepted, json(200, { items: [], next_cursor: null }));
  await fake.ms.emails.send(email);
  await fake.ms.emails.list({ status: "bounced", limit: 5 });
  const [send, list] = fake.seen;
  assert.equal(`${send?.method} ${send?.path}`, "POST /v1/emails");
  assert.equal(send?.headers.authorization, "Bearer ms_live_x");
  assert.equal(send?.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(send?.body ?? ""), email);
  assert.equal(list?.method, "GET");
  assert.deepEqual(Object.fromEntries(new URL(list?.path ?? "", fake.url).searchParams), { status: "bounced", limit: "5" });
  assert.equal(list?.headers["content-type"], undefined);
});

test("each call has a key of its own, and the caller's when it gives one", async (t) => {
  const fake = await serve(t, accepted);
  await fake.ms.emails.send(email);
  await fake.ms.emails.send(email);
  await fake.ms.emails.send(email, { idempotencyKey: "order-42" });
  await fake.ms.emails.send(email, { headers: { "idempotency-key": "order-43" } });
  const keys = fake.seen.map((s) => s.headers["idempotency-key"]);
  assert.notEqual(keys[0], keys[1]);
  assert.deepEqual(keys.slice(2), ["order-42", "order-43"]);
});

test("a key that the server would refuse is refused before anything is sent", async (t) => {
  const fake = await serve(t, accepted);
  for (const idempotencyKey of ["", "ü", "a\nb", "x".repeat(257)]) {
    await assert.rejects(fake.ms.emails.send(email, { idempotencyKey }), TypeError);
  }
  assert.equal(fake.seen.length, 0);
});

test("a stored answer is known as one", async (t) => {
  const fake = await serve(t, json(202, { id: "eml_1" }, { "Idempotency-Replayed": "true", "Request-Id": "req_7" }));
  const answer = answerOf(await fake.ms.emails.send(email));
  assert.equal(answer?.replayed, true);
  assert.equal(answer?.requestId, "req_7");
  assert.equal(answer?.status, 202);
});

test("a problem is typed, with its findings", async (t) => {
  const finding = { location: "body.from", message: "not hosted", code: "sender-not-verified" };
  const fake = await serve(t, problem(422, "sender-not-verified", {}, { errors: [finding] }));
  const e: unknown = await fake.ms.emails.send(email).catch((e: unknown) => e);
  assert.ok(isProblem(e, "sender-not-verified", "recipient-invalid"));
  assert.equal(e.status, 422);
  assert.equal(e.requestId, "req_1");
  assert.equal(e.message, "sender-not-verified: because of sender-not-verified");
  assert.deepEqual(e.problem.errors, [finding]);
  assert.ok(e instanceof MailserverProblem && isProblem(e));
  assert.ok(!isProblem(e, "already-exists"));
  assert.ok(!isProblem(new Error("x")));
});

test("the page of a proxy is an error with its status and the beginning of its text", async (t) => {
  const page: Reply = (_, response) => {
    response.writeHead(500, { "Content-Type": "text/html", "Request-Id": "req_9" });
    response.end(`<h1>oops</h1>${"x".repeat(10_000)}`);
  };
  const fake = await serve(t, page);
  const e: unknown = await fake.ms.domains.get("dom_1").catch((e: unknown) => e);
  assert.ok(isProblem(e, "unexpected-answer"));
  assert.equal(e.status, 500);
  assert.equal(e.requestId, "req_9");
  assert.ok(e.detail.includes("<h1>oops</h1>") && e.detail.length < 400);
});

test("a success that is no JSON is not taken for one", async (t) => {
  const fake = await serve(t, bytes("text/html", Buffer.from("<h1>please sign in</h1>")));
  await assert.rejects(fake.ms.domains.get("dom_1"), (e) => isProblem(e, "unexpected-answer") && e.cause instanceof SyntaxError);
});

test("an answer without a body gives undefined", async (t) => {
  const fake = await serve(t, (_, response) => response.writeHead(204).end());
  assert.equal(await fake.ms.domains.delete("dom_1"), undefined);
  assert.equal(await fake.ms.auth.refreshSession(), undefined);
});

for (const type of ["message/rfc822", "application/json", "text/plain"]) {
  test(`bytes of type ${type} come as they are`, async (t) => {
    const content = Buffer.from([0x7b, 0x0d, 0x0a, 0x00, 0xff, 0xfe]);
    const fake = await serve(t, bytes(type, content));
    assert.deepEqual(Buffer.from(await (await fake.ms.messages.getRaw("msg_1")).arrayBuffer()), content);
    assert.deepEqual(Buffer.from(await (await fake.ms.messages.getPart("msg_1", "2")).arrayBuffer()), content);
  });
}

test("a file is uploaded as it is, under its own media type or the caller's", async (t) => {
  const fake = await serve(t, problem(503, "unavailable"), json(201, { id: "blb_1" }));
  await fake.ms.blobs.create(new Blob(["a\r\n{"], { type: "application/pdf" }));
  await fake.ms.blobs.create(new Blob(["x"], { type: "application/pdf" }), { headers: { "Content-Type": "text/csv" } });
  await fake.ms.blobs.create(new Blob(["x"]));
  assert.deepEqual(fake.seen.map((s) => s.headers["content-type"]), ["application/pdf", "application/pdf", "text/csv", "application/octet-stream"]);
  assert.deepEqual(fake.seen.map((s) => s.body), ["a\r\n{", "a\r\n{", "x", "x"]);
});

test("an id cannot name another path", async (t) => {
  const fake = await serve(t, json(200, domain));
  for (const id of ["", ".", "..", undefined as unknown as string]) {
    await assert.rejects(fake.ms.domains.delete(id), TypeError);
  }
  assert.equal(fake.seen.length, 0);
  await fake.ms.domains.get("a/../b?c#d");
  assert.equal(fake.seen[0]?.path, "/v1/domains/a%2F..%2Fb%3Fc%23d");
});

test("the version of an object guards a change", async (t) => {
  const fake = await serve(t, json(200, domain, { ETag: '"3"' }), json(200, domain, { ETag: '"4"' }), problem(412, "etag-mismatch"));
  const read = await fake.ms.domains.get("dom_1");
  assert.equal(etagOf(read), '"3"');
  assert.equal(etagOf(await fake.ms.domains.update("dom_1", { status: "disabled" }, { ifMatch: read })), '"4"');
  await assert.rejects(fake.ms.domains.delete("dom_1", { ifMatch: '"3"' }), (e) => isProblem(e, "etag-mismatch"));
  assert.deepEqual(fake.seen.map((s) => s.headers["if-match"]), [undefined, '"3"', '"3"']);
});

test("a condition without a version is refused rather than forgotten", async (t) => {
  const fake = await serve(t, json(200, domain));
  await assert.rejects(fake.ms.domains.delete("dom_1", { ifMatch: { ...(await fake.ms.domains.get("dom_1")) } }), TypeError);
  assert.equal(fake.seen.length, 1);
});

test("a current object is not transferred again", async (t) => {
  const same: Reply = (_, response) => response.writeHead(304, { ETag: '"3"' }).end();
  const fake = await serve(t, json(200, domain, { ETag: '"3"' }), same);
  const read = await fake.ms.domains.get("dom_1");
  assert.equal(await fake.ms.domains.get("dom_1", { ifNoneMatch: read }), read);
  assert.equal(fake.seen[1]?.headers["if-none-match"], '"3"');
});

test("a token is asked for before each request, and never by operations that need none", async (t) => {
  const fake = await serve(t, json(200, domain));
  let asked = 0;
  const ms = fake.client({ apiKey: async () => `token-${++asked}` });
  await ms.domains.get("dom_1");
  await ms.domains.get("dom_1");
  await ms.auth.refreshSession();
  assert.deepEqual(fake.seen.map((s) => s.headers.authorization), ["Bearer token-1", "Bearer token-2", undefined]);
});

test("an expired token is replaced once, also under a request that may not be repeated", async (t) => {
  const fake = await serve(t, problem(401, "token-expired"), json(200, domain), problem(401, "token-expired"));
  const rejected: (string | undefined)[] = [];
  const ms = fake.client({
    apiKey: (why) => {
      rejected.push(why?.rejected);
      return why ? "new" : "old";
    },
  });
  await ms.domains.update("dom_1", { status: "disabled" });
  assert.deepEqual(rejected, [undefined, "old"]);
  assert.deepEqual(fake.seen.map((s) => s.headers.authorization), ["Bearer old", "Bearer new"]);
  await assert.rejects(ms.domains.get("dom_1"), (e) => isProblem(e, "token-expired"));
  assert.equal(fake.seen.length, 4);
});

test("a getter that fails fails the call with its own error", async (t) => {
  const fake = await serve(t, json(200, domain));
  const ms = fake.client({ apiKey: () => Promise.reject(new RangeError("signed out")) });
  await assert.rejects(ms.domains.get("dom_1"), RangeError);
  assert.equal(fake.seen.length, 0);
});

test("a key is sent without the white space of its file", async (t) => {
  const fake = await serve(t, json(200, domain));
  await fake.client({ apiKey: " ms_live_x\r\n", url: `${fake.url}\n` }).domains.get("dom_1");
  await fake.client({ apiKey: () => "ms_live_y\n" }).domains.get("dom_1");
  await fake.client({ apiKey: "\n" }).domains.get("dom_1");
  assert.deepEqual(fake.seen.map((s) => s.headers.authorization), ["Bearer ms_live_x", "Bearer ms_live_y", undefined]);
});

test("a credential that cannot be sent is refused and in no error", async (t) => {
  const fake = await serve(t, json(200, domain));
  const silent = (e: unknown) => e instanceof TypeError && !/secret/.test(`${e.stack} ${String(e.cause)}`);
  for (const key of ["ms_live_\nsecret", "ms_live_ secret", "ms_live_\0secret", "ms_live_secret…"]) {
    assert.throws(() => fake.client({ apiKey: key }), silent);
    await assert.rejects(fake.client({ apiKey: () => key }).domains.get("dom_1"), silent);
    await assert.rejects(fake.client({ headers: { Authorization: `Bearer x\n${key}` } }).domains.get("dom_1"), silent);
  }
  assert.equal(fake.seen.length, 0);
});

test("an expired token is known by the text that the getter gave", async (t) => {
  const fake = await serve(t, problem(401, "token-expired"), json(200, domain));
  const given: unknown[] = [];
  await fake.client({ apiKey: (why) => (given.push(why?.rejected), why ? "new\n" : "old\n") }).domains.get("dom_1");
  assert.deepEqual(given, [undefined, "old\n"]);
});

test("a redirect is an error that says where the server is, and a POST does not become a GET", async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const elsewhere = await serve(t, accepted);
    const fake = await serve(t, (_, response) => response.writeHead(status, { Location: `${elsewhere.url}/v1/emails` }).end());
    const e: unknown = await fake.ms.emails.send(email).catch((e: unknown) => e);
    assert.ok(isProblem(e, "unexpected-answer") && e.status === status && e.detail.includes(`"${elsewhere.url}/v1/emails"`), String(e));
    await assert.rejects(fake.ms.domains.get("dom_1"), MailserverProblem);
    assert.equal(fake.seen.length, 2);
    assert.equal(elsewhere.seen.length, 0);
  }
});

test("a redirect of which a browser tells nothing is the same error", async (t) => {
  const fake = await serve(t, accepted);
  const opaque = () => Object.defineProperties(new Response(), { type: { value: "opaqueredirect" }, status: { value: 0 }, ok: { value: false } });
  const ms = fake.client({ fetch: () => Promise.resolve(opaque()) });
  await assert.rejects(ms.emails.send(email), (e) => isProblem(e, "unexpected-answer") && e.detail.includes("redirects to another address"));
});

test("a fetch of one's own that follows a redirect does not make a send succeed", async (t) => {
  const elsewhere = await serve(t, json(200, { items: [], next_cursor: null }));
  const fake = await serve(t, (_, response) => response.writeHead(301, { Location: `${elsewhere.url}/v1/emails` }).end());
  const ms = fake.client({ fetch: (request) => fetch(new Request(request, { redirect: "follow" })) });
  await assert.rejects(ms.emails.send(email), (e) => isProblem(e, "unexpected-answer") && e.detail.includes(elsewhere.url));
  assert.deepEqual(elsewhere.seen.map((s) => s.method), ["GET"]);
  assert.deepEqual(await ms.emails.list(), { items: [], next_cursor: null });
});

test("a fetch of one's own sends everything, with the header fields of the client", async (t) => {
  const fake = await serve(t, json(200, domain));
  let sent = 0;
  const ms = fake.client({
    fetch: (...args) => {
      sent++;
      return fetch(...args);
    },
    headers: { "X-App": "console" },
  });
  await ms.domains.get("dom_1");
  assert.equal(sent, 1);
  assert.equal(fake.seen[0]?.headers["x-app"], "console");
});

test("the address may be given in every form in which people have it", async (t) => {
  const fake = await serve(t, json(200, domain));
  for (const end of ["", "/", "/v1", "/v1/"]) {
    await fake.client({ url: fake.url + end }).domains.get("dom_1");
  }
  assert.deepEqual(new Set(fake.seen.map((s) => s.path)), new Set(["/v1/domains/dom_1"]));
  for (const url of ["", "/", "mail.example.test", "ftp://mail.example.test", "http://"]) {
    assert.throws(() => createMailserver({ url }), TypeError, url);
  }
});
