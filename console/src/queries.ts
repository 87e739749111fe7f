// What the pages read, each with its place in the cache. A change invalidates by the first word: everything about domains.

import {
  collect,
  type GetStatsTimeseriesData,
  isProblem,
  type ListEmailsData,
  type ListQueueEntriesData,
  type ListUsersData,
} from "@mailserver-dev/sdk";
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api } from "./session.js";

/** One page of any list. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

type Filter<D extends { query?: unknown }> = Omit<NonNullable<D["query"]>, "cursor" | "limit">;

const pageSize = 50;

/** The cache would keep a copy of what changed; only the object that the SDK gave has the ETag for `ifMatch`. */
const asRead = { structuralSharing: false } as const;

function nullIfNotFound(error: unknown): null {
  if (isProblem(error, "not-found")) {
    return null;
  }
  throw error;
}

/** A list, page by page. */
function list<T>(
  key: readonly unknown[],
  read: (at: { cursor?: string; limit: number }, signal: AbortSignal) => Promise<Page<T>>,
) {
  return infiniteQueryOptions({
    queryKey: key,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(pageParam === undefined ? { limit: pageSize } : { limit: pageSize, cursor: pageParam }, signal),
    getNextPageParam: (last: Page<T>) => last.next_cursor ?? undefined,
  });
}

export const domains = {
  list: (filter: { name?: string } = {}) =>
    list(["domains", "list", filter], (at, signal) => api.domains.list({ ...filter, ...at }, { signal })),
  /** How many `all` gives at most. */
  most: 1_000,
  /** The newest of them, for a choice among them or for their names. */
  all: () =>
    queryOptions({
      queryKey: ["domains", "all"],
      queryFn: ({ signal }) => collect(api.domains.all({ limit: 200 }, { signal }), domains.most),
      staleTime: 60_000,
    }),
  one: (id: string) =>
    queryOptions({
      queryKey: ["domains", "one", id],
      queryFn: ({ signal }) => api.domains.get(id, { signal }),
      ...asRead,
    }),
  /** All on one page. */
  records: (id: string) => list(["domains", "records", id], (_, signal) => api.domains.listDnsRecords(id, { signal })),
  /** Null without a smart host. */
  relay: (id: string) =>
    queryOptions({
      queryKey: ["domains", "relay", id],
      queryFn: ({ signal }) => api.domains.getRelay(id, { signal }).catch(nullIfNotFound),
    }),
  keys: (id: string) => list(["domains", "keys", id], (at, signal) => api.dkimKeys.list(id, at, { signal })),
};

export const users = {
  list: (filter: Filter<ListUsersData> = {}) =>
    list(["users", "list", filter], (at, signal) => api.users.list({ ...filter, ...at }, { signal })),
  one: (id: string) =>
    queryOptions({
      queryKey: ["users", "one", id],
      queryFn: ({ signal }) => api.users.get(id, { signal }),
      ...asRead,
    }),
  mailboxes: (id: string) => list(["users", "mailboxes", id], (at, signal) => api.mailboxes.list(id, at, { signal })),
};

export const emails = {
  list: (filter: Filter<ListEmailsData> = {}) =>
    list(["emails", "list", filter], (at, signal) => api.emails.list({ ...filter, ...at }, { signal })),
  one: (id: string) =>
    queryOptions({ queryKey: ["emails", "one", id], queryFn: ({ signal }) => api.emails.get(id, { signal }) }),
  events: (id: string) =>
    list(["emails", "events", id], (at, signal) => api.emails.listEvents(id, { ...at, limit: 200 }, { signal })),
};

export const queue = {
  destinations: () => list(["queue", "destinations"], (at, signal) => api.queue.listDestinations(at, { signal })),
  destination: (name: string) =>
    queryOptions({
      queryKey: ["queue", "destination", name],
      queryFn: ({ signal }) => api.queue.getDestination(name, { signal }),
    }),
  entries: (filter: Filter<ListQueueEntriesData> = {}) =>
    list(["queue", "entries", filter], (at, signal) => api.queue.listEntries({ ...filter, ...at }, { signal })),
};

export type Range = "hour" | "day" | "week" | "month";

const stretches = {
  hour: { seconds: 3600, step: "minute" },
  day: { seconds: 86_400, step: "minute" },
  week: { seconds: 7 * 86_400, step: "hour" },
  month: { seconds: 30 * 86_400, step: "hour" },
} as const;

export const stats = {
  overview: () =>
    queryOptions({ queryKey: ["stats", "overview"], queryFn: ({ signal }) => api.stats.getOverview({}, { signal }) }),
  series: (range: Range, metric: NonNullable<NonNullable<GetStatsTimeseriesData["query"]>["metric"]>) =>
    queryOptions({
      queryKey: ["stats", "series", range, metric],
      queryFn: ({ signal }) => {
        const { seconds, step } = stretches[range];
        return api.stats.getTimeseries(
          { metric, step, from: new Date(Date.now() - seconds * 1000).toISOString() },
          { signal },
        );
      },
      refetchInterval: range === "hour" ? 15_000 : 60_000,
      placeholderData: (before) => before,
    }),
};

export const apiKeys = {
  list: () => list(["apiKeys", "list"], (at, signal) => api.apiKeys.list(at, { signal })),
};
