/** When a request is tried again. */
export interface RetryPolicy {
  /** How many times a request is sent again after the first try. */
  maxRetries: number;
  /** The pause before the first retry in milliseconds; it doubles with each further one. */
  baseDelayMs: number;
  /**
   * The longest pause in milliseconds. A server that asks with Retry-After for a longer one gets no retry: the caller gets the
   * problem with its `retryAfter` at once.
   */
  maxDelayMs: number;
}

/** Four tries within about two seconds of pauses, more when the server asks for it. */
export const defaultRetry: Readonly<RetryPolicy> = { maxRetries: 3, baseDelayMs: 250, maxDelayMs: 30_000 };

/** Statuses after which the same request may succeed (RFC 9110 §15, RFC 6585 §4). */
const transient: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Methods of which a second request has no further effect (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Reports whether an answer says that the same request may succeed later. */
export function isTransient(status: number, code: string): boolean {
  return transient.has(status) || code === "idempotency-in-progress";
}

/** Reports whether a request may be sent twice: by its method, or because it carries a key by which the server knows it again. */
export function isRepeatable(method: string, headers: Headers): boolean {
  return idempotent.has(method) || headers.has("Idempotency-Key");
}

/**
 * Gives the pause in milliseconds before a retry (1 for the first), or undefined when the server wants a longer one than the
 * policy allows. `random` is in [0, 1): without it, clients that failed together would come back together.
 */
export function pauseBefore(retry: number, retryAfter: number | undefined, policy: RetryPolicy, random: number): number | undefined {
  const grown = Math.min(policy.baseDelayMs * 2 ** (retry - 1), policy.maxDelayMs);
  if (retryAfter === undefined) {
    return grown * (0.5 + random / 2);
  }
  const asked = retryAfter * 1000;
  return asked > policy.maxDelayMs ? undefined : asked + (random * grown) / 2;
}

/** Reads Retry-After, seconds or a date (RFC 9110 §10.2.3), as seconds from now; undefined when there is none. */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  const value = headers.get("Retry-After")?.trim();
  if (!value) {
    return undefined;
  }
  if (/^\d{1,9}$/.test(value)) {
    return Number(value);
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
