import { Caller, checkedToken, type Credential } from "./call.js";
import { Emails } from "./emails.js";
import { Events } from "./events.js";
import { resources, type Resources } from "./generated/resources.gen.js";
import { defaultRetry, type RetryPolicy } from "./retry.js";

/** How to reach a server. */
export interface MailserverOptions {
  /**
   * Where the server is: `https://mail.example.test`, with or without `/v1` at the end. In a page that the server itself delivered
   * it may be `/`.
   */
  url: string;
  /**
   * An API key, the access token of a session, or a function that gives one before each request. After the answer `token-expired`
   * the function is asked once more, with the rejected token, and the request is sent again. White space around a key does not
   * count; one with anything inside that cannot be sent is refused.
   */
  apiKey?: Credential | undefined;
  /** Sends the requests; the global `fetch` when absent. */
  fetch?: typeof fetch | undefined;
  /** Header fields of every request. */
  headers?: Record<string, string> | undefined;
  /**
   * How long one attempt may take, in milliseconds; as much again for every 5 MiB of JSON, at most ten times, and ten times that when
   * it carries a file. 60,000 when absent, 0 for no limit.
   */
  timeoutMs?: number | undefined;
  /** When a request is tried again. */
  retry?: Partial<RetryPolicy> | undefined;
}

/** The API of a server, one group for each kind of object. */
export interface Mailserver extends Omit<Resources, "emails" | "events"> {
  readonly emails: Emails;
  readonly events: Events;
}

const defaultTimeoutMs = 60_000;

/**
 * Makes a client. It holds no connection and needs no closing.
 *
 * ```ts
 * const ms = createMailserver({ url: process.env.MAILSERVER_URL!, apiKey: process.env.MAILSERVER_KEY! });
 * const email = await ms.emails.send({ from: "shop@example.test", to: "you@example.test", subject: "Hi", text: "…" });
 * ```
 */
export function createMailserver(options: MailserverOptions): Mailserver {
  const caller = new Caller({
    baseUrl: baseOf(options.url),
    credential: typeof options.apiKey === "string" ? checkedToken(options.apiKey) : options.apiKey,
    // Called through a function of its own: a browser's fetch refuses to be a method of anything else.
    fetch: options.fetch ?? ((...args) => globalThis.fetch(...args)),
    headers: options.headers ?? {},
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    retry: { ...defaultRetry, ...options.retry },
  });
  return { ...resources(caller), emails: new Emails(caller), events: new Events(caller) };
}

/** Gives the address before /v1, which the paths of the contract begin with. */
function baseOf(url: string): string {
  const base = url.trim().replace(/\/+$/, "").replace(/\/v1$/, "");
  if (base === "" ? typeof location === "undefined" : !base.startsWith("/") && !/^https?:\/\/[^/]/.test(base)) {
    throw new TypeError(`url is ${JSON.stringify(url)}: give the server's address, such as https://mail.example.test`);
  }
  return base;
}
