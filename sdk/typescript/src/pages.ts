/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Where the next page begins; null on the last page. */
  next_cursor: string | null;
}

/** The item type of a page. */
export type ItemOf<P> = P extends { items: Array<infer T> } ? T : never;

/** The filters of a list: its query without the cursor, which the iteration keeps itself. */
export type Filters<Q> = Omit<NonNullable<Q>, "cursor">;

/** Gives the items of all pages. A page is asked for when the one before is used up. */
export async function* pages<T>(page: (at: { cursor?: string }) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  let at: { cursor?: string } = {};
  for (;;) {
    const { items, next_cursor: next } = await page(at);
    yield* items;
    if (next === null) {
      return;
    }
    if (next === at.cursor) {
      throw new Error("the server gave the same cursor twice: the list would never end");
    }
    at = { cursor: next };
  }
}

/** Gathers what an iteration gives, at most `max` items. */
export async function collect<T>(items: AsyncIterable<T>, max = Infinity): Promise<T[]> {
  const all: T[] = [];
  if (max <= 0) {
    return all;
  }
  for await (const item of items) {
    all.push(item);
    if (all.length >= max) {
      break;
    }
  }
  return all;
}
