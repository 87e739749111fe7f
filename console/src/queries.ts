// What the pages read, each with its place in the cache. A change invalidates by the first word: everything about domains.

import type { ListEmailsData, ListQueueEntriesData, ListUsersData } from "@mailserver-dev/sdk";
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api } from "./session.js";

/** One page of any list. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

type Filter<D extends { query?: unknown }> = Omit<NonNullable<D["query"]>, "cursor" | "limit">;

const pageSize = 50;

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
  one: (id: string) =>
    queryOptions({ queryKey: ["domains", "one", id], queryFn: ({ signal }) => api.domains.get(id, { signal }) }),
  records: (id: string) =>
    queryOptions({
      queryKey: ["domains", "records", id],
      queryFn: ({ signal }) => api.domains.listDnsRecords(id, { signal }),
    }),
  keys: (id: string) => list(["domains", "keys", id], (at, signal) => api.dkimKeys.list(id, at, { signal })),
};

export const users = {
  list: (filter: Filter<ListUsersData> = {}) =>
    list(["users", "list", filter], (at, signal) => api.users.list({ ...filter, ...at }, { signal })),
  one: (id: string) =>
    queryOptions({ queryKey: ["users", "one", id], queryFn: ({ signal }) => api.users.get(id, { signal }) }),
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

export const apiKeys = {
  list: () => list(["apiKeys", "list"], (at, signal) => api.apiKeys.list(at, { signal })),
};
