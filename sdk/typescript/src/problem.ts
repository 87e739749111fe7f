import type { ProblemCode } from "./generated/codes.gen.js";
import type { Problem } from "./generated/types.gen.js";

/** The code of an answer that is not the API's: a proxy's page, a redirect, or a success whose body is no JSON. */
export type ClientCode = "unexpected-answer";

/** A code of the contract, or of this package. */
export type KnownCode = ProblemCode | ClientCode;

/**
 * An error that the server answered with (RFC 9457). Branch on `code`, which is stable; `detail` is for people.
 * The server may be newer than this package, so `code` may be one that {@link KnownCode} does not list.
 */
export class MailserverProblem extends Error {
  override readonly name = "MailserverProblem";
  readonly code: KnownCode | (string & {});
  /** The HTTP status. */
  readonly status: number;
  /** What is wrong and what to do next, for people. */
  readonly detail: string;
  /** Names the request in the server's log; empty when the answer has none. */
  readonly requestId: string;
  /** In how many seconds the same request may succeed; undefined when the server does not say. */
  readonly retryAfter: number | undefined;

  constructor(
    /** The whole problem, as the server sent it. */
    readonly problem: Problem,
    retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(`${problem.code}: ${problem.detail}`, options);
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail;
    this.requestId = problem.request_id ?? "";
    this.retryAfter = retryAfter;
  }
}

/** No answer came: no connection, a connection that broke, or an attempt that took longer than `timeoutMs`. `cause` says which. */
export class MailserverUnreachable extends Error {
  override readonly name = "MailserverUnreachable";
}

/** Something did not happen within the time that the caller gave. */
export class MailserverTimeout extends Error {
  override readonly name = "MailserverTimeout";
}

/**
 * Reports whether an error is a problem that the server answered with, and of one of the given codes when there are any.
 *
 * ```ts
 * if (isProblem(e, "already-exists")) return find(name);
 * ```
 */
export function isProblem(e: unknown): e is MailserverProblem;
export function isProblem<C extends KnownCode>(e: unknown, ...codes: C[]): e is MailserverProblem & { readonly code: C };
export function isProblem(e: unknown, ...codes: string[]): boolean {
  return e instanceof MailserverProblem && (codes.length === 0 || codes.includes(e.code));
}

/** Longest piece of a foreign answer that is put into an error's text, in characters. */
const shown = 200;

/** Makes the error for an answer that is no success. `body` is its parsed JSON, else its text. */
export function problemOf(body: unknown, response: Response, retryAfter: number | undefined, cause?: unknown): MailserverProblem {
  const options = cause === undefined ? undefined : { cause };
  if (isProblemBody(body)) {
    return new MailserverProblem(body, retryAfter, options);
  }
  const text = typeof body === "string" ? body.slice(0, shown) : "";
  const problem: Problem = {
    type: "about:blank",
    title: response.statusText || `HTTP ${response.status}`,
    status: response.status,
    code: "unexpected-answer" satisfies ClientCode,
    detail: `HTTP ${response.status} without a body that the API describes${text === "" ? "" : `: ${text}`}`,
  };
  const requestId = response.headers.get("Request-Id");
  return new MailserverProblem(requestId === null ? problem : { ...problem, request_id: requestId }, retryAfter, options);
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Makes the error for an answer that is a redirect, or the answer to a request into which a `fetch` of the caller's own turned
 * another one; undefined for any other answer. A browser does not tell where a redirect leads, nor its status.
 */
export function redirectedOf(method: string, response: Response): MailserverProblem | undefined {
  const followed = response.redirected && method !== "GET";
  if (!followed && response.type !== "opaqueredirect" && !redirects.has(response.status)) {
    return undefined;
  }
  const target = followed ? response.url : response.headers.get("Location");
  const where = target ? JSON.stringify(target.slice(0, shown)) : "another address";
  const detail = followed
    ? `the request was redirected to ${where}, and ${method} may have become another method on the way: use that address as the url`
    : `the server redirects to ${where}, and nothing was sent there: use that address as the url`;
  const problem: Problem = { type: "about:blank", title: "Redirect", status: response.status, code: "unexpected-answer" satisfies ClientCode, detail };
  return new MailserverProblem(problem);
}

function isProblemBody(body: unknown): body is Problem {
  if (typeof body !== "object" || body === null) {
    return false;
  }
  const { code, status, detail } = body as Partial<Record<keyof Problem, unknown>>;
  return typeof code === "string" && typeof status === "number" && typeof detail === "string";
}
