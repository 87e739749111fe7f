import assert from "node:assert/strict";
import { test } from "node:test";

import { type Block, longest, SseParser } from "../src/sse.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What the pieces of a stream give. */
function parsed(...pieces: (string | Uint8Array)[]): Block[] {
  const parser = new SseParser();
  return pieces.flatMap((p) => parser.push(typeof p === "string" ? bytes(p) : p));
}

const block = (data: string | undefined, type = "", id?: string): Block => ({ type, id, data });

for (const [what, stream, want] of [
  ["an event of one line", "data: a\n\n", [block("a")]],
  ["a type and an id", "event: t\nid: 7\ndata: a\n\n", [block("a", "t", "7")]],
  ["lines of data", "data: a\ndata:b\ndata\ndata:  c\n\n", [block("a\nb\n\n c")]],
  ["carriage returns", "data: a\rdata: b\r\rdata: c\r\r", [block("a\nb"), block("c")]],
  ["both together", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [block("a\nb"), block("c")]],
  ["all of them mixed", "data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", [block("a"), block("b"), block("c")]],
  ["a byte order mark", "\ufeffdata: a\n\ndata: \ufeffb\n\n", [block("a"), block("\ufeffb")]],
  ["comments", ": ping\n\n:\n\ndata: a\n:data: b\n\n", [block("a")]],
  ["a field of another name", "date: a\n data: b\nDATA: c\ndata : d\n\n", []],
  ["an empty event", "data\n\ndata:\n\n", [block(""), block("")]],
  ["a type without data", "event: t\n\ndata: a\n\n", [block("a")]],
  ["an id without data", "id: 7\n\ndata: a\n\n", [block(undefined, "", "7"), block("a")]],
  ["an id without a value", "id: 7\ndata: a\n\nid\ndata: b\n\n", [block("a", "", "7"), block("b", "", "")]],
  ["an id with a NUL", "id: 7\nid: a\0b\ndata: a\n\n", [block("a", "", "7")]],
  ["one space and no more", "data:a\ndata: a\ndata:  a\ndata:\ta\n\n", [block("a\na\n a\n\ta")]],
  ["colons in a value", "data: {\"a\":1}\nid:a:b\n\n", [block('{"a":1}', "", "a:b")]],
  ["bytes that are no UTF-8", Uint8Array.of(...bytes("data: a"), 0xff, ...bytes("b\n\n")), [block("a\ufffdb")]],
  ["an event without its end", "data: a\n\nid: 7\ndata: b\n", [block("a")]],
  ["an event that breaks off in a line", "data: a\n\ndata: b", [block("a")]],
  ["nothing", "", []],
] as [string, string | Uint8Array, Block[]][]) {
  const whole = typeof stream === "string" ? bytes(stream) : stream;
  test(`${what}, in one piece and byte by byte`, () => {
    assert.deepEqual(parsed(whole), want);
    assert.deepEqual(parsed(...Array.from(whole, (b) => Uint8Array.of(b))), want);
  });
}

test("a pause has only digits, and the last one counts", () => {
  const parser = new SseParser();
  for (const [value, want] of [["-1", undefined], ["1e3", undefined], ["", undefined], ["25", 25], ["2s", 25], ["٣", 25], [" 7", 25], ["0", 0]] as const) {
    parser.push(bytes(`retry: ${value}\n`));
    assert.equal(parser.retry, want, value);
  }
});

test("a carriage return ends an event at once, and the line feed of the next piece belongs to it", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push(bytes("data: a\r\n\r")), [block("a")]);
  assert.deepEqual(parser.push(new Uint8Array()), []);
  assert.deepEqual(parser.push(bytes("\ndata: b\n")), []);
  assert.deepEqual(parser.push(bytes("\n")), [block("b")]);
});

test("what is too long is refused, and not kept", () => {
  const full = "x".repeat(longest - "data: ".length);
  const parser = new SseParser();
  assert.equal(parser.push(bytes(`data: ${full}\n\n`))[0]?.data, full);
  parser.push(bytes(`data: ${full}`));
  assert.throws(() => parser.push(bytes("x")), RangeError);
  const many = new SseParser();
  assert.throws(() => {
    for (let i = 0; i < 4; i++) {
      many.push(bytes(`data: ${"x".repeat(longest / 3)}\n`));
    }
  }, RangeError);
  const short = new SseParser();
  assert.throws(() => {
    for (let i = 0; i <= longest; i += 512) {
      short.push(bytes("data\n".repeat(1024)));
    }
  }, RangeError);
});

/** The words of the standard, as simply as they can be written: the whole text, its lines, its fields. */
function byTheBook(text: string): { blocks: Block[]; retry: number | undefined } {
  const lines = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n").split("\n").slice(0, -1);
  const blocks: Block[] = [];
  let retry: number | undefined;
  let fields: [string, string][] = [];
  for (const line of lines) {
    if (line !== "") {
      const [, name = line, value = ""] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
      fields.push([name, value]);
      retry = name === "retry" && /^[0-9]+$/.test(value) ? Number(value) : retry;
      continue;
    }
    const of = (name: string) => fields.filter(([n]) => n === name).map(([, v]) => v);
    const data = of("data");
    const id = of("id").filter((v) => !v.includes("\0")).pop();
    if (data.length > 0 || id !== undefined) {
      blocks.push({ type: of("event").pop() ?? "", id, data: data.length > 0 ? data.join("\n") : undefined });
    }
    fields = [];
  }
  return { blocks, retry };
}

/** Chance that can be repeated (mulberry32). */
function chance(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

test("any stream in any pieces gives what the standard says", () => {
  const words = ["data", "id", "event", "retry", ":", ": ", " ", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\ufeff", "\0", "a", "12", "é", "€", "😀", "data: x\n\n"];
  const begin = Date.now();
  for (let seed = 1; seed <= 20_000 && Date.now() - begin < 5_000; seed++) {
    const random = chance(seed);
    const text = Array.from({ length: random(40) }, () => words[random(words.length)]).join("");
    const whole = bytes(text);
    const parser = new SseParser();
    const blocks: Block[] = [];
    for (let at = 0; at < whole.length; ) {
      const next = at + random(1 + random(12));
      blocks.push(...parser.push(whole.subarray(at, next)));
      at = next;
    }
    const want = byTheBook(text);
    assert.deepEqual({ blocks, retry: parser.retry }, want, `seed ${seed}: ${JSON.stringify(text)}`);
  }
});
