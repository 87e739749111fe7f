/** What is known of the answer that an object came with. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The version of the object, for `ifMatch` and `ifNoneMatch`. */
  readonly etag: string | undefined;
  /** Names the request in the server's log. */
  readonly requestId: string | undefined;
  /** True when this is the stored answer of an earlier request with the same Idempotency-Key. */
  readonly replayed: boolean;
}

// Beside the objects rather than in them: they stay what the contract says, and can be compared, spread and stored.
const answers = new WeakMap<object, Answer>();

/** Gives the answer that an object returned by this package came with; undefined for any other object, a copy among them. */
export function answerOf(value: object): Answer | undefined {
  return answers.get(value);
}

/** Gives the ETag that an object returned by this package came with; undefined when there is none. */
export function etagOf(value: object): string | undefined {
  return answers.get(value)?.etag;
}

/** Remembers the answer of an object. */
export function remember(value: unknown, { status, headers }: Response): void {
  if (typeof value !== "object" || value === null) {
    return;
  }
  answers.set(value, {
    status,
    headers,
    etag: headers.get("ETag") ?? undefined,
    requestId: headers.get("Request-Id") ?? undefined,
    replayed: headers.get("Idempotency-Replayed") === "true",
  });
}

/** Gives the ETag of a condition: a tag as the server wrote it, quotes included, or an object that came with one. */
export function tagOf(condition: string | object): string {
  const tag = typeof condition === "string" ? condition : etagOf(condition);
  if (!tag) {
    throw new TypeError("this object has no ETag: give one that this package returned, not a copy, or the tag itself");
  }
  return tag;
}
