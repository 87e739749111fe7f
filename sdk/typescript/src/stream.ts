import { answerOf } from "./answer.js";
import type { Caller, CallOptions } from "./call.js";
import type { Event, StatsOverview, StreamEventsData } from "./generated/types.gen.js";
import { type ClientCode, MailserverProblem, MailserverUnreachable } from "./problem.js";
import { sleep } from "./retry.js";
import { type Block, SseParser } from "./sse.js";

/** Which events a stream gives. */
export type StreamQuery = NonNullable<StreamEventsData["query"]>;

/** An entry of the ledger that a stream gave. */
export interface LedgerEvent {
  readonly kind: "event";
  /** The type of the event, such as `email.delivered`. */
  readonly type: string;
  /** Where a later stream goes on after this event: its `lastEventId`. */
  readonly id: string | undefined;
  readonly data: Event;
}

/** The counts of now, which come only when `stats.tick` is among the types asked for. */
export interface StatsTick {
  readonly kind: "stats";
  readonly type: "stats.tick";
  readonly id: undefined;
  readonly data: StatsOverview;
}

/** The server no longer keeps what came after the last event: lists have to be read anew. The stream goes on from now. */
export interface StreamReset {
  readonly kind: "reset";
  readonly type: "stream.reset";
  readonly id: string | undefined;
  readonly data: unknown;
}

/** What a stream gives; `kind` tells them apart. */
export type StreamEvent = LedgerEvent | StatsTick | StreamReset;

/** Whether a stream has a connection. */
export type StreamState = "open" | "reconnecting";

/** Why a stream has no connection, and for how long at least. */
export interface StreamBreak {
  readonly cause: Error;
  /** The pause before the next attempt, in milliseconds. */
  readonly pauseMs: number;
}

/** What a stream takes besides its filters. */
export interface StreamOptions extends Pick<CallOptions, "signal" | "headers"> {
  /** The `id` of the last event that was seen: the stream goes on after it. It wins over `after`. */
  lastEventId?: string | undefined;
  /** After how many milliseconds without a byte a connection is given up and made anew; 45,000 when absent, 0 for never. */
  silenceMs?: number | undefined;
  /** Is told each time that the stream gets a connection or has lost it. */
  onState?: ((state: StreamState, why?: StreamBreak) => void) | undefined;
}

const silence = 45_000;

/** The pause before the first attempt to connect again, when the server names none. */
const firstPause = 2_000;

/** The pauses of this package grow up to this, and with their share of chance to 30 s. */
const longestPause = 20_000;

/** A server that asks for less or for more than these is not taken at its word. */
const leastPause = 100;
const aDay = 86_400_000;

/** A connection that lasted this long was a good one: the pauses begin small again. */
const steady = 10_000;

/** The ends after which a server needs a pause; after others, a token's for example, the next stream or the problem comes at once. */
const tired: readonly string[] = ["", "shutdown", "unavailable"];

/** Reads the stream of events, with as many connections as that takes. */
export async function* streamOf(caller: Caller, query: StreamQuery = {}, options: StreamOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
  const { signal, onState } = options;
  let last = options.lastEventId;
  let retry = firstPause;
  let opened = false;
  for (let failures = 0; ; failures++) {
    let cause: Error;
    let end = "";
    const connection = await connect(caller, query, options, last).catch((e: unknown) => e as Error);
    if (connection instanceof Connection) {
      const begin = Date.now();
      opened = true;
      try {
        onState?.("open");
        for (let block: Block | undefined; end === "" && (block = await connection.next()); ) {
          last = block.id ?? last;
          end = endOf(block);
          const event = eventOf(block);
          if (event !== undefined) {
            yield event;
          }
        }
      } finally {
        connection.close();
      }
      retry = connection.retry ?? retry;
      failures = Date.now() - begin < steady ? failures : 0;
      cause = connection.failure ?? new MailserverUnreachable(`the server ended the stream${end && `: ${end}`}`);
    } else {
      signal?.throwIfAborted();
      cause = connection;
      if (!passes(cause, opened)) {
        throw cause;
      }
    }
    if (failures > 0 || tired.includes(end)) {
      const pauseMs = pauseOf(failures, retry, cause, Math.random());
      onState?.("reconnecting", { cause, pauseMs });
      await sleep(pauseMs, signal);
    }
  }
}

async function connect(caller: Caller, query: StreamQuery, options: StreamOptions, last: string | undefined): Promise<Connection> {
  const { signal, silenceMs = silence } = options;
  const resume = last ? { "Last-Event-ID": last } : undefined;
  const headers = { Accept: "text/event-stream", ...options.headers, ...resume };
  const url = "/v1/events/stream";
  const body = await caller.run<ReadableStream<Uint8Array> | null>(
    { method: "GET", stream: true },
    { signal, headers, timeoutMs: silenceMs, maxRetries: 0 },
    (request) => request.client.get<{ 200: ReadableStream<Uint8Array> }>({ ...request, cache: "no-store", url, query: resume ? { ...query, after: undefined } : query }),
  );
  const type = body && answerOf(body)?.headers.get("Content-Type");
  if (!body || !/^text\/event-stream *(;|$)/i.test(type ?? "")) {
    body?.cancel().catch(() => {});
    throw unexpected(`the answer is ${type || "empty"} instead of an event stream: is the url that of a mailserver?`);
  }
  return new Connection(body.getReader(), silenceMs, signal);
}

/** One connection of a stream. */
class Connection {
  /** Why it ended, when the server did not end it. */
  failure: Error | undefined;
  readonly #parser = new SseParser();
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #silenceMs: number;
  readonly #signal: AbortSignal | undefined;
  #blocks: Block[] = [];

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, silenceMs: number, signal: AbortSignal | undefined) {
    this.#reader = reader;
    this.#silenceMs = silenceMs;
    this.#signal = signal;
    signal?.addEventListener("abort", this.close);
  }

  get retry(): number | undefined {
    return this.#parser.retry;
  }

  /** Gives the next block; undefined when the connection has ended. */
  async next(): Promise<Block | undefined> {
    for (;;) {
      this.#signal?.throwIfAborted();
      const block = this.#blocks.shift();
      if (block !== undefined) {
        return block;
      }
      const piece = await this.#read();
      if (piece === undefined) {
        this.#signal?.throwIfAborted();
        return undefined;
      }
      try {
        this.#blocks = this.#parser.push(piece);
      } catch (e) {
        throw unexpected((e as Error).message);
      }
    }
  }

  async #read(): Promise<Uint8Array | undefined> {
    const late = () => {
      this.failure = new MailserverUnreachable(`no byte within ${this.#silenceMs} ms`);
      this.close();
    };
    const timer = this.#silenceMs > 0 ? setTimeout(late, this.#silenceMs) : undefined;
    try {
      return (await this.#reader.read()).value;
    } catch (cause) {
      this.failure ??= new MailserverUnreachable("the stream broke off", { cause });
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it, a read that waits included. */
  readonly close = (): void => {
    this.#signal?.removeEventListener("abort", this.close);
    this.#reader.cancel().catch(() => {});
  };
}

/** Why the server ends the stream; empty when the block does not say that it does. */
function endOf({ type, data = "" }: Block): string {
  return type === "stream.end" ? (/"code"\s*:\s*"([^"]+)"/.exec(data)?.[1] ?? "shutdown") : "";
}

/** The event for the caller, when the block is one: what the server says about the stream itself is not. */
function eventOf({ type, id, data }: Block): StreamEvent | undefined {
  const reset = type === "stream.reset";
  if (data === undefined || (type.startsWith("stream.") && !reset)) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw unexpected(`the data of an event of the type ${JSON.stringify(type)} is no JSON`);
  }
  return { kind: reset ? "reset" : type === "stats.tick" ? "stats" : "event", type, id, data: value } as StreamEvent;
}

/** Reports whether a failure to connect may pass. An answer that no mailserver gave may, from where one was before. */
function passes(e: Error, opened: boolean): boolean {
  if (!(e instanceof MailserverProblem)) {
    return e instanceof MailserverUnreachable;
  }
  return e.status >= 500 || [408, 425, 429].includes(e.status) || (opened && e.code === "unexpected-answer");
}

function pauseOf(failures: number, retry: number, cause: Error, random: number): number {
  const first = Math.min(Math.max(retry, leastPause), aDay);
  const grown = Math.max(first, Math.min(first * 2 ** failures, longestPause));
  const asked = cause instanceof MailserverProblem ? (cause.retryAfter ?? 0) * 1_000 : 0;
  return Math.max(grown, Math.min(asked, aDay)) + (grown * random) / 2;
}

function unexpected(detail: string): MailserverProblem {
  return new MailserverProblem({ type: "about:blank", title: "No event stream", status: 200, code: "unexpected-answer" satisfies ClientCode, detail });
}
