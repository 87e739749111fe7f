import { remember, tagOf } from "./answer.js";
import { type Client, createClient, createConfig } from "./generated/client/index.js";
import { MailserverUnreachable, problemOf } from "./problem.js";
import { isRepeatable, isTransient, pauseBefore, retryAfterOf, type RetryPolicy, sleep } from "./retry.js";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, its retries and pauses; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How long one attempt may take, in milliseconds, whatever it carries; 0 for no limit. */
  timeoutMs?: number | undefined;
  /** How many times the request is sent again after the first try. */
  maxRetries?: number | undefined;
  /** More header fields. */
  headers?: Record<string, string> | undefined;
}

/** What a call with an effect takes that the server must not have twice. */
export interface KeyedOptions extends CallOptions {
  /**
   * Names the effect for 24 hours, 1 to 256 printable ASCII characters: the same request with the same key has it once. Without
   * one each call gets a key of its own, so that its retries are safe; give one, an order's number for example, to be safe against a
   * restart of your program too.
   */
  idempotencyKey?: string | undefined;
}

/** What a change takes. */
export interface ChangeOptions extends CallOptions {
  /** Only if the object is still this version: what an earlier call returned, or its ETag. Else the problem is `etag-mismatch`. */
  ifMatch?: string | object | undefined;
}

/** What a read takes. */
export interface ReadOptions<T> extends CallOptions {
  /** What an earlier call returned: when it is current, nothing is transferred and the same object is returned. */
  ifNoneMatch?: (T & object) | undefined;
}

/** Says who is asking: a key or token, or what gets one. `rejected` is a token that the server has just called expired. */
export type Credential = string | ((why?: { rejected: string }) => string | undefined | Promise<string | undefined>);

/** What a client needs to call. */
export interface CallerConfig {
  baseUrl: string;
  credential: Credential | undefined;
  fetch: typeof fetch;
  headers: Record<string, string>;
  timeoutMs: number;
  retry: RetryPolicy;
}

/** What is fixed about an operation. */
export interface Operation {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** It takes an Idempotency-Key. */
  keyed?: true;
  /** It needs no credential, and gets none: whoever fetches tokens may use it to do so. */
  open?: true;
  /** It answers with bytes. */
  binary?: true;
  /** It takes bytes. */
  upload?: true;
}

/** What one attempt hands to the generated client. */
export interface Request {
  client: Client;
  fetch: typeof fetch;
  headers: Record<string, string>;
  parseAs: "json" | "blob";
  signal: AbortSignal;
  throwOnError: false;
}

/** What the generated client gives for one attempt. Without a response no answer came, and error is the cause. */
export type Outcome<T> = { data?: T | undefined; error?: unknown; response: Response };

type Options = KeyedOptions & ChangeOptions & ReadOptions<object>;
type Send<T> = (request: Request) => Promise<Outcome<T>>;

/** How an attempt ended: with a value, or with an error after which a retry may help or not. */
type Ending<T> = { value: T } | { error: Error; transient: boolean; retryAfter?: number | undefined };

/** How many times longer an attempt may take that carries a file. */
const forBytes = 10;

/** Sends the requests of all operations: credentials, keys, conditions, time limits, retries and errors are its work. */
export class Caller {
  readonly #config: CallerConfig;
  readonly #client: Client;

  constructor(config: CallerConfig) {
    this.#config = config;
    this.#client = createClient(createConfig({ baseUrl: config.baseUrl }));
  }

  /** Runs one operation to its end. `send` is called once for each attempt and must make its request anew. */
  async run<T>(operation: Operation, options: CallOptions | undefined, send: Send<T>): Promise<T> {
    const given: Options = options ?? {};
    const headers = this.#headers(operation, given);
    const policy = { ...this.#config.retry, maxRetries: given.maxRetries ?? this.#config.retry.maxRetries };
    const retries = isRepeatable(operation.method, headers) ? policy.maxRetries : 0;
    for (let retry = 1; ; retry++) {
      const ending = await this.#authorised(operation, given, headers, send);
      if ("value" in ending) {
        return ending.value;
      }
      const pause = ending.transient && retry <= retries ? pauseBefore(retry, ending.retryAfter, policy, Math.random()) : undefined;
      if (pause === undefined) {
        throw ending.error;
      }
      await sleep(pause, given.signal);
    }
  }

  #headers(operation: Operation, given: Options): Headers {
    const headers = new Headers(this.#config.headers);
    for (const [name, value] of Object.entries(given.headers ?? {})) {
      headers.set(name, value);
    }
    if (operation.keyed && !(given.idempotencyKey === undefined && headers.has("Idempotency-Key"))) {
      headers.set("Idempotency-Key", checkedKey(given.idempotencyKey ?? newKey()));
    }
    if (given.ifMatch !== undefined) {
      headers.set("If-Match", tagOf(given.ifMatch));
    }
    if (given.ifNoneMatch !== undefined) {
      headers.set("If-None-Match", tagOf(given.ifNoneMatch));
    }
    return headers;
  }

  /** Makes one attempt with a credential, and a second one with a new token when the server calls the first expired. */
  async #authorised<T>(operation: Operation, given: Options, headers: Headers, send: Send<T>): Promise<Ending<T>> {
    given.signal?.throwIfAborted();
    const credential = operation.open || headers.has("Authorization") ? undefined : this.#config.credential;
    if (typeof credential !== "function") {
      return this.#attempt(operation, given, withToken(headers, credential), send);
    }
    const token = await credential();
    const ending = await this.#attempt(operation, given, withToken(headers, token), send);
    if (token === undefined || !isExpired(ending)) {
      return ending;
    }
    const fresh = await credential({ rejected: token });
    return fresh === undefined || fresh === token ? ending : this.#attempt(operation, given, withToken(headers, fresh), send);
  }

  /** Sends one request. It throws only what is no answer and no failure of the network: an abort, or a request that cannot be made. */
  async #attempt<T>(operation: Operation, given: Options, headers: Headers, send: Send<T>): Promise<Ending<T>> {
    given.signal?.throwIfAborted();
    const patience = operation.binary || operation.upload ? forBytes : 1;
    const clock = new AttemptClock(given.signal, given.timeoutMs ?? this.#config.timeoutMs * patience);
    let sent = false;
    let response: Response | undefined;
    try {
      const outcome = await send({
        client: this.#client,
        fetch: async (...args) => {
          sent = true;
          response = await this.#config.fetch(...args);
          return response;
        },
        headers: Object.fromEntries(headers),
        parseAs: operation.binary ? "blob" : "json",
        signal: clock.signal,
        throwOnError: false,
      });
      return response === undefined ? lost(outcome.error, given.signal, clock) : endingOf(outcome, response, given);
    } catch (e) {
      if (!sent) {
        throw e;
      }
      return e instanceof SyntaxError && response !== undefined
        ? { error: problemOf(undefined, response, undefined, e), transient: false }
        : lost(e, given.signal, clock);
    } finally {
      clock.stop();
    }
  }
}

/** Ends an attempt when its time is over or its caller aborts, and knows which it was. */
class AttemptClock {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #forward = (): void => this.#controller.abort(this.#outer?.reason);
  late = false;

  constructor(outer: AbortSignal | undefined, ms: number) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#forward, { once: true });
    if (ms > 0) {
      this.#timer = setTimeout(() => {
        this.late = true;
        this.#controller.abort(new MailserverUnreachable(`no answer within ${ms} ms`));
      }, ms);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#forward);
  }
}

/** An attempt without a whole answer. */
function lost<T>(cause: unknown, signal: AbortSignal | undefined, clock: AttemptClock): Ending<T> {
  signal?.throwIfAborted();
  const error = clock.late ? (clock.signal.reason as Error) : new MailserverUnreachable("the server did not answer", { cause });
  return { error, transient: true };
}

/** An attempt with an answer. */
function endingOf<T>(outcome: Outcome<T>, response: Response, given: Options): Ending<T> {
  if (response.ok) {
    // The generated client gives {} for an answer without a body.
    const value = (response.status === 204 ? undefined : outcome.data) as T;
    remember(value, response);
    return { value };
  }
  if (response.status === 304 && given.ifNoneMatch !== undefined) {
    return { value: given.ifNoneMatch as T };
  }
  const retryAfter = retryAfterOf(response.headers, Date.now());
  const error = problemOf(outcome.error, response, retryAfter);
  return { error, transient: isTransient(error.status, error.code), retryAfter };
}

function isExpired(ending: Ending<unknown>): boolean {
  return "error" in ending && "code" in ending.error && ending.error.code === "token-expired";
}

function withToken(headers: Headers, token: string | undefined): Headers {
  if (token === undefined || token === "") {
    return headers;
  }
  const all = new Headers(headers);
  all.set("Authorization", `Bearer ${token}`);
  return all;
}

/** Makes a key that nobody else has. (randomUUID is missing from pages that came over plain http.) */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

function checkedKey(key: string): string {
  if (!/^[\x20-\x7e]{1,256}$/.test(key)) {
    throw new TypeError("an Idempotency-Key has 1 to 256 printable ASCII characters");
  }
  return key;
}

/** The request with the media type of the bytes that it carries, unless the caller named one. */
export function typed(request: Request, body: Blob): Request {
  return body.type === "" || "content-type" in request.headers ? request : { ...request, headers: { ...request.headers, "content-type": body.type } };
}

/** Refuses ids that would name another path than the operation's. */
export function checkedId(name: string, value: string): string {
  if (typeof value !== "string" || value === "" || value === "." || value === "..") {
    throw new TypeError(`${name} is ${JSON.stringify(value)}, which is no id`);
  }
  return value;
}
