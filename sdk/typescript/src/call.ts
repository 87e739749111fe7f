import { remember, tagOf } from "./answer.js";
import { type Client, createClient, createConfig } from "./generated/client/index.js";
import { jsonBodySerializer } from "./generated/core/bodySerializer.gen.js";
import { isProblem, MailserverUnreachable, problemOf, redirectedOf } from "./problem.js";
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
  /**
   * Only if the object is still this version: what an earlier call returned, or its ETag. Else the problem is `etag-mismatch`. A PUT
   * whose answer was lost is sent again and may get it because of itself: read the object before you blame somebody else.
   */
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
  /** It answers with a stream, which the caller reads and ends. */
  stream?: true;
  /** It takes bytes. */
  upload?: true;
}

/** What one attempt hands to the generated client. */
export interface Request {
  client: Client;
  fetch: typeof fetch;
  headers: Record<string, string>;
  parseAs: "json" | "blob" | "stream";
  redirect: "manual";
  signal: AbortSignal;
  throwOnError: false;
  bodySerializer?: (body: unknown) => string;
}

/** What the generated client gives for one attempt. Without a response no answer came, and error is the cause. */
export type Outcome<T> = { data?: T | undefined; error?: unknown; response: Response };

type Options = KeyedOptions & ChangeOptions & ReadOptions<object>;
type Send<T> = (request: Request) => Promise<Outcome<T>>;

/** How an attempt ended: with a value, or with an error after which a retry may help or not. */
type Ending<T> = { value: T } | { error: Error; transient: boolean; retryAfter?: number | undefined };

/** How many times longer an attempt may take that carries a file, and at most one that carries much JSON. */
const forBytes = 10;

/** With each piece of this many characters, a JSON body gives an attempt its time once more. */
const timePiece = 5 << 20;

/** How many times longer than usual an attempt may take, with `length` characters of JSON: a full batch has 50 MiB. */
export function patience({ binary, upload }: Operation, length: number): number {
  return binary || upload ? forBytes : Math.min(forBytes, 1 + length / timePiece);
}

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
    let uncertain = false; // an earlier attempt may have done it
    for (let retry = 1; ; retry++) {
      const ending = await this.#authorised(operation, given, headers, send);
      if ("value" in ending) {
        return ending.value;
      }
      if (uncertain && operation.method === "DELETE" && isProblem(ending.error, "not-found")) {
        return undefined as T;
      }
      uncertain ||= !(isProblem(ending.error) && ending.error.status === 429);
      const pause = ending.transient && retry <= retries ? pauseBefore(retry, ending.retryAfter, policy, Math.random()) : undefined;
      if (pause === undefined) {
        throw ending.error;
      }
      await sleep(pause, given.signal);
    }
  }

  #headers(operation: Operation, given: Options): Headers {
    const headers = new Headers();
    for (const [name, value] of [...Object.entries(this.#config.headers), ...Object.entries(given.headers ?? {})]) {
      setHeader(headers, name, value);
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
    const allowed = (length: number): number => given.timeoutMs ?? this.#config.timeoutMs * patience(operation, length);
    const clock = new AttemptClock(given.signal, allowed(0));
    const bodySerializer = (body: unknown): string => {
      const text = jsonBodySerializer.bodySerializer(body);
      clock.allow(allowed(text.length));
      return text;
    };
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
        parseAs: operation.stream ? "stream" : operation.binary ? "blob" : "json",
        // Following one turns a POST into a GET: the call would succeed with the answer of another request, and nothing be sent.
        redirect: "manual",
        signal: clock.signal,
        throwOnError: false,
        ...(operation.upload ? {} : { bodySerializer }),
      });
      return response === undefined ? lost(outcome.error, given.signal, clock) : endingOf(operation, outcome, response, given);
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
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #forward = (): void => this.#controller.abort(this.#outer?.reason);
  late = false;

  constructor(outer: AbortSignal | undefined, ms: number) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#forward, { once: true });
    this.allow(ms);
  }

  /** Gives the attempt this long from now on; 0 for ever. */
  allow(ms: number): void {
    clearTimeout(this.#timer);
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
function endingOf<T>(operation: Operation, outcome: Outcome<T>, response: Response, given: Options): Ending<T> {
  const redirected = redirectedOf(operation.method, response);
  if (redirected !== undefined) {
    return { error: redirected, transient: false };
  }
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
  const sent = token === undefined ? "" : checkedToken(token);
  if (sent === "") {
    return headers;
  }
  const all = new Headers(headers);
  all.set("Authorization", `Bearer ${sent}`);
  return all;
}

/** Gives a key or token without the white space around it. Its error never quotes it: errors end in logs. */
export function checkedToken(token: string): string {
  const trimmed = token.trim();
  if (!/^[\x21-\x7e]*$/.test(trimmed)) {
    throw new TypeError("the API key or token has a character inside that none has (white space, a control character or one beyond ASCII): copy it again");
  }
  return trimmed;
}

/** Sets a field; the platform's own error would quote the value, which may be a credential. */
function setHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value);
  } catch {
    throw new TypeError(`the header field ${JSON.stringify(name)} has a name or a value that cannot be sent`);
  }
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
