import assert from "node:assert/strict";
import { test } from "node:test";

import { collect, isProblem } from "../src/index.js";
import { hangUp, json, problem, serve } from "./server.js";

const page = (next: string | null, ...names: string[]) => json(200, { items: names.map((name) => ({ id: name, name })), next_cursor: next });

test("all goes over every page with the same filters", async (t) => {
  const fake = await serve(t, page("c1", "a", "b"), page("c2"), page(null, "c"));
  const names: string[] = [];
  for await (const domain of fake.ms.domains.all({ status: "verified", limit: 2 })) {
    names.push(domain.name);
  }
  assert.deepEqual(names, ["a", "b", "c"]);
  assert.deepEqual(
    fake.seen.map((s) => Object.fromEntries(new URL(s.path, fake.url).searchParams)),
    [undefined, "c1", "c2"].map((cursor) => ({ status: "verified", limit: "2", ...(cursor ? { cursor } : {}) })),
  );
});

test("a page is asked for only when somebody wants it", async (t) => {
  const fake = await serve(t, page("c1", "a", "b"), page(null, "c"));
  assert.equal((await collect(fake.ms.domains.all(), 2)).length, 2);
  assert.equal(fake.seen.length, 1);
  assert.deepEqual(await collect(fake.ms.domains.all(), 0), []);
});

test("a list below an object has its id in every page", async (t) => {
  const fake = await serve(t, page("c1", "a"), page(null, "b"));
  assert.equal((await collect(fake.ms.emails.allEvents("eml_1"))).length, 2);
  assert.deepEqual(fake.seen.map((s) => s.path), ["/v1/emails/eml_1/events", "/v1/emails/eml_1/events?cursor=c1"]);
});

test("a broken page is asked for again, and no item is lost or doubled", async (t) => {
  const fake = await serve(t, page("c1", "a"), hangUp, page(null, "b"));
  assert.deepEqual((await collect(fake.ms.domains.all())).map((d) => d.name), ["a", "b"]);
});

test("a problem in the middle of a list is thrown to the loop", async (t) => {
  const fake = await serve(t, page("c1", "a"), problem(400, "invalid-cursor"));
  await assert.rejects(collect(fake.ms.domains.all()), (e) => isProblem(e, "invalid-cursor"));
});

test("a server that repeats its cursor does not hold the program for ever", async (t) => {
  const fake = await serve(t, page("c1", "a"));
  await assert.rejects(collect(fake.ms.domains.all()), /never end/);
  assert.equal(fake.seen.length, 2);
});
