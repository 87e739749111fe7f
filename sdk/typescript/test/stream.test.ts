import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";

import { collect, isProblem, MailserverProblem, MailserverUnreachable, type StreamBreak, type StreamEvent, type StreamState } from "../src/index.js";
import { longest } from "../src/sse.js";
import { hangUp, json, problem, type Reply, serve, silence } from "./server.js";

const open = 'retry: 1\nevent: stream.open\nid: c0\ndata: {}\n\n';

/** An event of the ledger on the wire. */
const event = (n: number, type = "email.delivered"): string => `id: c${n}\nevent: ${type}\ndata: ${JSON.stringify({ id: `evt_${n}`, type })}\n\n`;

/** What is sent of a stream, and then whatever `then` does. */
function stream(pieces: (string | Uint8Array)[], then: (response: ServerResponse) => void = () => {}): Reply {
  return async (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    for (const piece of pieces) {
      await new Promise<void>((done) => response.write(piece, () => setImmediate(done)));
    }
    then(response);
  };
}

const end = (response: ServerResponse) => void response.end();
const breakOff = (response: ServerResponse) => void response.destroy();

/** What a stream told about its connections. */
function states(): { seen: string[]; breaks: StreamBreak[]; onState: (state: StreamState, why?: StreamBreak) => void } {
  const seen: string[] = [];
  const breaks: StreamBreak[] = [];
  return { seen, breaks, onState: (state, why) => void (seen.push(state), why && breaks.push(why)) };
}

const ids = (events: StreamEvent[]): (string | undefined)[] => events.map((e) => e.id);

/** Lets pauses pass twenty times as fast as they are told. */
function hasten(t: TestContext): void {
  const wait = globalThis.setTimeout;
  t.mock.method(globalThis, "setTimeout", (work: () => void, ms = 0, ...more: []) => wait(work, ms / 20, ...more));
}

/** Gives the error that a stream ends with. */
async function errorOf(events: AsyncIterable<StreamEvent>): Promise<unknown> {
  return collect(events).then(() => assert.fail("the stream ended without an error"), (e: unknown) => e);
}

test("a stream is asked for as the contract says, and gives its events", async (t) => {
  const fake = await serve(t, stream([open, event(1), ": ping\n\n", "event: stats.tick\ndata: {\"domains\":3}\n\n", event(2, "domain.created")]));
  const query = { type: ["email.*", "stats.tick"], subject: "eml_1", domain_id: "dom_1" };
  assert.deepEqual(await collect(fake.ms.events.stream(query, { headers: { "X-App": "console" } }), 3), [
    { kind: "event", type: "email.delivered", id: "c1", data: { id: "evt_1", type: "email.delivered" } },
    { kind: "stats", type: "stats.tick", id: undefined, data: { domains: 3 } },
    { kind: "event", type: "domain.created", id: "c2", data: { id: "evt_2", type: "domain.created" } },
  ]);
  const [seen] = fake.seen;
  const url = new URL(seen?.path ?? "", fake.url);
  assert.equal(`${seen?.method} ${url.pathname}`, "GET /v1/events/stream");
  assert.deepEqual([...url.searchParams], [["type", "email.*"], ["type", "stats.tick"], ["subject", "eml_1"], ["domain_id", "dom_1"]]);
  assert.equal(seen?.headers.accept, "text/event-stream");
  assert.equal(seen?.headers.authorization, "Bearer ms_live_x");
  assert.equal(seen?.headers["x-app"], "console");
  assert.equal(seen?.headers["last-event-id"], undefined);
});

for (const [how, then] of Object.entries({ "ends it": end, "breaks it off": breakOff })) {
  test(`a stream goes on after its last event when the server ${how}`, async (t) => {
    const fake = await serve(t, stream([open, event(1), event(2).slice(0, -1)], then), stream([open.replace("c0", "c1"), event(2)], then), stream([event(3)]));
    const told = states();
    const events = await collect(fake.ms.events.stream({ after: "oldest", type: ["email.*"] }, told), 3);
    assert.deepEqual(ids(events), ["c1", "c2", "c3"]);
    assert.deepEqual(fake.seen.map((s) => s.headers["last-event-id"]), [undefined, "c1", "c2"]);
    assert.deepEqual(fake.seen.map((s) => new URL(s.path, fake.url).searchParams.get("after")), ["oldest", null, null]);
    assert.deepEqual(fake.seen.map((s) => new URL(s.path, fake.url).searchParams.get("type")), ["email.*", "email.*", "email.*"]);
    assert.deepEqual(told.seen, ["open", "reconnecting", "open", "reconnecting", "open"]);
    assert.ok(told.breaks.every(({ cause, pauseMs }) => cause instanceof MailserverUnreachable && pauseMs > 0));
  });
}

test("events that happen before the first one is seen are not missed", async (t) => {
  const fake = await serve(t, stream([open], breakOff), stream(["id: c0b\n\n"], breakOff), stream([event(1)]));
  await collect(fake.ms.events.stream(), 1);
  // A place without an event is one too.
  assert.deepEqual(fake.seen.map((s) => s.headers["last-event-id"]), [undefined, "c0", "c0b"]);
});

test("a stream begins after the event that the caller saw last", async (t) => {
  hasten(t);
  const fake = await serve(t, hangUp, stream([event(8)], breakOff), stream([event(9)]));
  await collect(fake.ms.events.stream({ after: "oldest" }, { lastEventId: "c7" }), 2);
  assert.deepEqual(fake.seen.map((s) => s.headers["last-event-id"]), ["c7", "c7", "c8"]);
  assert.ok(fake.seen.every((s) => !s.path.includes("after")));
});

test("letters that are cut in their middle arrive whole", async (t) => {
  const whole = new TextEncoder().encode(`\ufeffid: c1\r\nevent: email.delivered\r\ndata: {"subject":"Grüße 😀"}\r\n\r\n`);
  const fake = await serve(t, stream(Array.from(whole, (byte) => Uint8Array.of(byte))));
  const [first] = await collect(fake.ms.events.stream(), 1);
  assert.deepEqual(first, { kind: "event", type: "email.delivered", id: "c1", data: { subject: "Grüße 😀" } });
});

test("a reset is given to the caller, and the stream goes on from there", async (t) => {
  const reset = "id: c50\nevent: stream.reset\ndata: {}\n\n";
  const fake = await serve(t, stream([open, reset, "event: stream.tomorrow\ndata: x\n\n"], breakOff), stream([event(51)]));
  const [first, second] = await collect(fake.ms.events.stream({}, { lastEventId: "c1" }), 2);
  assert.deepEqual(first, { kind: "reset", type: "stream.reset", id: "c50", data: {} });
  assert.equal(second?.id, "c51");
  assert.equal(fake.seen[1]?.headers["last-event-id"], "c50");
});

test("a connection on which nothing comes is made anew", async (t) => {
  const fake = await serve(t, stream([open]), silence, stream([event(1)]));
  const told = states();
  await collect(fake.ms.events.stream({}, { silenceMs: 100, ...told }), 1);
  assert.equal(fake.seen.length, 3);
  assert.match(told.breaks[0]?.cause.message ?? "", /no byte within 100 ms/);
});

test("pings keep a connection", async (t) => {
  const ping = (response: ServerResponse) => {
    let left = 10;
    const timer = setInterval(() => void (left-- > 0 ? response.write(": ping\n\n") : (response.write(event(1)), clearInterval(timer))), 50);
  };
  const fake = await serve(t, stream([open], ping));
  await collect(fake.ms.events.stream({}, { silenceMs: 250 }), 1);
  assert.equal(fake.seen.length, 1);
});

test("the time of an attempt does not cut a stream", async (t) => {
  const late = (response: ServerResponse) => void setTimeout(() => response.write(event(1)), 200);
  const fake = await serve(t, stream([open], late));
  await collect(fake.client({ timeoutMs: 50 }).events.stream(), 1);
  assert.equal(fake.seen.length, 1);
});

const endWith = (code: string): string => `event: stream.end\ndata: {"code":"${code}"}\n\n`;

test("a stream that ends with its token goes on at once with another", async (t) => {
  const fake = await serve(t, stream([open, event(1), endWith("token-expired"), event(99)]), problem(401, "token-expired"), stream([event(2)]));
  const told = states();
  let token = "old";
  const ms = fake.client({ apiKey: (why) => (token = why ? "new" : token) });
  assert.deepEqual(ids(await collect(ms.events.stream({}, told), 2)), ["c1", "c2"]);
  assert.deepEqual(fake.seen.map((s) => s.headers.authorization), ["Bearer old", "Bearer old", "Bearer new"]);
  assert.deepEqual(told.seen, ["open", "open"]);
});

test("a server that goes down is left for a while, and one that ends every stream is not stormed", async (t) => {
  hasten(t);
  const fake = await serve(t, stream([endWith("shutdown")]), stream([endWith("token-expired")]), stream([endWith("token-expired")]), stream([event(1)]));
  const told = states();
  await collect(fake.ms.events.stream({}, told), 1);
  assert.deepEqual(told.seen, ["open", "reconnecting", "open", "reconnecting", "open", "reconnecting", "open"]);
  assert.match(told.breaks[0]?.cause.message ?? "", /shutdown/);
});

test("a credential that was withdrawn ends a stream with the server's problem", async (t) => {
  const fake = await serve(t, stream([open, endWith("unauthenticated")]), problem(401, "unauthenticated"));
  assert.ok(isProblem(await errorOf(fake.ms.events.stream()), "unauthenticated"));
  assert.equal(fake.seen.length, 2);
});

for (const status of [400, 401, 403, 404, 409, 410, 422]) {
  test(`a ${status} ends a stream, also one that was open`, async (t) => {
    const fake = await serve(t, problem(status, "validation-failed"), stream([open], breakOff), problem(status, "validation-failed"));
    for (const requests of [1, 3]) {
      const e = await errorOf(fake.ms.events.stream());
      assert.ok(isProblem(e, "validation-failed") && e.status === status);
      assert.equal(fake.seen.length, requests);
    }
  });
}

for (const [what, reply] of Object.entries({
  "503": problem(503, "unavailable"), "500": problem(500, "internal"), "429": problem(429, "rate-limited"), "502 of a proxy": json(502, "no"), "nobody": hangUp,
})) {
  test(`a stream outlasts ${what}, before it is open and after`, async (t) => {
    hasten(t);
    t.mock.method(Math, "random", () => 0);
    const fake = await serve(t, reply, stream([open, event(1)], breakOff), reply, stream([event(2)]));
    const told = states();
    const events = fake.ms.events.stream({}, told);
    // The first pause is that of a server which names none.
    assert.deepEqual(ids(await collect(events, 2)), ["c1", "c2"]);
    assert.equal(fake.seen.length, 4);
    assert.deepEqual(told.breaks.map((b) => b.pauseMs), [2_000, 200, 400]);
  });
}

test("Retry-After is obeyed", async (t) => {
  const fake = await serve(t, stream(["retry: 1\n\n"], breakOff), problem(429, "too-many-streams", { "Retry-After": "1" }), stream([event(1)]));
  const begin = Date.now();
  await collect(fake.ms.events.stream(), 1);
  assert.ok(Date.now() - begin >= 1_000);
});

test("an answer that no mailserver gave ends a stream that never was open, and is waited out by one that was", async (t) => {
  hasten(t);
  const page: Reply = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<h1>sign in</h1>");
  const empty: Reply = (_, response) => response.writeHead(204).end();
  for (const foreign of [json(404, "no such site"), page, empty]) {
    const wrong = await serve(t, foreign);
    const e = await errorOf(wrong.ms.events.stream());
    assert.ok(isProblem(e, "unexpected-answer"), String(e));
    const fake = await serve(t, stream([open], breakOff), foreign, stream([event(1)]));
    assert.equal((await collect(fake.ms.events.stream(), 1)).length, 1);
    assert.equal(fake.seen.length, 3);
  }
});

test("an answer that is no stream is not left hanging", async (t) => {
  let left = () => {};
  const gone = new Promise<void>((resolve) => (left = resolve));
  const page: Reply = (_, response) => void response.writeHead(200, { "Content-Type": "text/plain" }).on("close", left).write("hello");
  const fake = await serve(t, page);
  await errorOf(fake.ms.events.stream());
  await gone;
});

test("a getter of tokens may fail for a while, but not for ever", async (t) => {
  const fake = await serve(t, stream(["retry: 1\n\n"], breakOff), stream([event(1)], breakOff));
  let asked = 0;
  const answers = [() => "a", () => Promise.reject(new MailserverUnreachable("offline")), () => "b", () => Promise.reject(new RangeError("signed out"))];
  const events = fake.client({ apiKey: () => answers[asked++]?.() ?? "x" }).events.stream();
  assert.equal((await events.next()).value?.id, "c1");
  await assert.rejects(events.next(), RangeError);
  assert.equal(fake.seen.length, 2);
});

test("the pauses double up to a bound, and begin anew after a good connection", async (t) => {
  hasten(t);
  const breaks = Array.from({ length: 4 }, () => stream(["retry: 100\n\n"], breakOff));
  const fake = await serve(t, ...breaks, stream([event(1)], breakOff), stream([event(2)]));
  let now = 0;
  t.mock.method(Date, "now", () => now);
  t.mock.method(Math, "random", () => 0);
  const told = states();
  const events = fake.ms.events.stream({}, told);
  await events.next();
  now += 10_000;
  await events.next();
  await events.return();
  assert.deepEqual(told.breaks.map((b) => b.pauseMs), [100, 200, 400, 800, 100]);
});

for (const [retry, pauseMs] of [["0", 100], ["7000", 7_000], ["30000", 30_000], ["9".repeat(400), 86_400_000]] as const) {
  test(`a server that asks for ${retry.slice(0, 9)} ms is neither stormed nor left for ever`, async (t) => {
    const fake = await serve(t, stream([`retry: ${retry}\n\n`], breakOff), stream([event(1)]));
    const controller = new AbortController();
    t.mock.method(Math, "random", () => 0);
    const told: unknown[] = [];
    const onState = (state: StreamState, why?: StreamBreak) => {
      if (state === "reconnecting") {
        told.push(why?.pauseMs);
        controller.abort();
      }
    };
    assert.ok((await errorOf(fake.ms.events.stream({}, { signal: controller.signal, onState }))) instanceof DOMException);
    assert.deepEqual(told, [pauseMs]);
  });
}

/** A stream that stays open, and when its connection is gone. */
function held(): { reply: Reply; gone: Promise<void> } {
  let left = () => {};
  const gone = new Promise<void>((resolve) => (left = resolve));
  return { reply: stream([open, event(1) + event(2)], (response) => void response.on("close", left)), gone };
}

test("an abort ends a stream that waits, with the caller's reason, and its connection", async (t) => {
  const { reply, gone } = held();
  const fake = await serve(t, reply);
  const controller = new AbortController();
  const reason = new Error("the user left");
  const events = fake.ms.events.stream({}, { signal: controller.signal });
  await events.next();
  await events.next();
  const waiting = events.next();
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(waiting, (e) => e === reason);
  assert.equal((await events.next()).done, true);
  await gone;
});

test("an abort ends the connection also while the caller is busy with an event", async (t) => {
  const { reply, gone } = held();
  const fake = await serve(t, reply);
  const controller = new AbortController();
  const events = fake.ms.events.stream({}, { signal: controller.signal });
  await events.next();
  controller.abort();
  await gone;
  await assert.rejects(events.next(), { name: "AbortError" });
});

test("an abort ends the pause before the next connection, and none is made afterwards", async (t) => {
  const fake = await serve(t, stream(["retry: 60000\n\n"], breakOff));
  const controller = new AbortController();
  const onState = (state: StreamState) => void (state === "reconnecting" && setTimeout(() => controller.abort(), 20));
  await assert.rejects(fake.ms.events.stream({}, { signal: controller.signal, onState }).next(), { name: "AbortError" });
  await assert.rejects(fake.ms.events.stream({}, { signal: controller.signal }).next(), { name: "AbortError" });
  assert.equal(fake.seen.length, 1);
});

test("leaving the loop ends the connection", async (t) => {
  const { reply, gone } = held();
  const fake = await serve(t, reply);
  for await (const { id } of fake.ms.events.stream()) {
    assert.equal(id, "c1");
    break;
  }
  await gone;
});

test("an error in the loop or in onState ends the connection and is not taken for one of the server", async (t) => {
  const bad = new RangeError("mine");
  for (const [onState, inLoop] of [[() => {}, true], [() => { throw bad; }, false]] as const) {
    const { reply, gone } = held();
    const fake = await serve(t, reply);
    await assert.rejects(async () => {
      for await (const _ of fake.ms.events.stream({}, { onState })) {
        assert.ok(inLoop);
        throw bad;
      }
    }, (e) => e === bad);
    await gone;
    assert.equal(fake.seen.length, 1);
  }
});

test("a signal serves many connections without gathering listeners", async (t) => {
  const fake = await serve(t, stream(["retry: 1\n\n"], breakOff), problem(503, "unavailable"), stream([event(1)]));
  const { signal } = new AbortController();
  let listening = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  const held = new Set<unknown>();
  signal.addEventListener = (...args: Parameters<typeof add>) => (held.add(args[1]), listening++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (held.delete(args[1]), remove(...args));
  await collect(fake.ms.events.stream({}, { signal }), 1);
  assert.ok(listening >= 3);
  assert.equal(held.size, 0);
});

for (const [what, sent] of Object.entries({ "a line without an end": "x".repeat(longest + 1), "data that is no JSON": "id: c1\nevent: email.sent\ndata: {\n\n" })) {
  test(`${what} ends the stream instead of filling the memory or being asked for again and again`, async (t) => {
    const { gone, reply } = ((left = () => {}) => {
      const gone = new Promise<void>((resolve) => (left = resolve));
      return { gone, reply: stream([open, sent], (response) => void (response.destroyed ? left() : response.on("close", () => left()))) };
    })();
    const fake = await serve(t, reply);
    const e = await errorOf(fake.ms.events.stream());
    assert.ok(e instanceof MailserverProblem && e.code === "unexpected-answer", String(e));
    await gone;
    assert.equal(fake.seen.length, 1);
  });
}

test("a caller that is slow gets every event once", async (t) => {
  const many = Array.from({ length: 500 }, (_, i) => event(i + 1));
  const fake = await serve(t, stream([open, many.slice(0, 300).join("")], breakOff), async (request, response) => {
    const from = Number(String(request.headers["last-event-id"]).slice(1));
    return stream([many.slice(from).join("")])(request, response);
  });
  const got: (string | undefined)[] = [];
  for await (const { id } of fake.ms.events.stream()) {
    got.push(id);
    if (got.length % 100 === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (got.length === 500) {
      break;
    }
  }
  assert.deepEqual(got, many.map((_, i) => `c${i + 1}`));
});
