import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import type { Page } from "../queries.js";
import { ProblemNote } from "./problem.js";
import { Time } from "./time.js";

/** One column of a table. */
export interface Column<T> {
  head: string;
  cell: (row: T) => ReactNode;
  /** Numbers stand at the right. */
  kind?: "number" | "actions";
}

interface ListingProps<T> {
  /** Says what the table holds; read by who cannot see it. */
  caption: string;
  query: UseInfiniteQueryResult<InfiniteData<Page<T>>>;
  columns: readonly Column<T>[];
  keyOf: (row: T) => string;
  /** What to say when there is nothing: one sentence, the next thing to do, and how to do it without the console. */
  empty: ReactNode;
  /** Rows that the page filters out itself. */
  only?: (row: T) => boolean;
  /** Rows of the past. */
  quiet?: (row: T) => boolean;
}

/** A list with its four states: loading, empty, failed, and old because the last reading failed. */
export function Listing<T>({ caption, query, columns, keyOf, empty, only, quiet }: ListingProps<T>) {
  if (query.isPending) {
    return <Loading what={caption} />;
  }
  if (query.data === undefined) {
    return <ProblemNote error={query.error} retry={() => void query.refetch()} />;
  }
  const rows = query.data.pages.flatMap((page) => page.items).filter(only ?? (() => true));
  return (
    <>
      {query.isError && <Stale since={query.dataUpdatedAt} error={query.error} retry={() => void query.refetch()} />}
      {rows.length === 0 ? (
        <div className="empty">{empty}</div>
      ) : (
        <Table caption={caption} columns={columns} rows={rows} keyOf={keyOf} quiet={quiet} />
      )}
      {query.hasNextPage && (
        <p className="actions">
          <button type="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {query.isFetchingNextPage ? "one moment…" : "more"}
          </button>
        </p>
      )}
    </>
  );
}

interface TableProps<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  quiet?: (row: T) => boolean;
}

/** A table that becomes a stack of rows on a narrow screen. */
export function Table<T>({ caption, columns, rows, keyOf, quiet }: TableProps<T>) {
  return (
    <table>
      <caption className="offscreen">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ head, kind }) => (
            <th key={head} scope="col" className={kind}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} className={quiet?.(row) ? "quiet" : undefined}>
            {columns.map(({ head, cell, kind }) => (
              <td key={head} data-label={head} className={kind}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const quick = 200;

/** Nothing for a moment, then the outline of what comes. */
export function Loading({ what }: { what: string }) {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), quick);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="loading" role="status" aria-busy="true">
      <span className="offscreen">Loading: {what}</span>
      {slow && (
        <>
          <div className="bone" />
          <div className="bone" />
          <div className="bone" />
        </>
      )}
    </div>
  );
}

function Stale({ since, error, retry }: { since: number; error: unknown; retry: () => void }) {
  return (
    <div className="stale">
      {/* The age passes; who cannot see it is not told of that every five seconds. */}
      <span role="status">
        The server could not be asked again ({error instanceof Error ? error.message : String(error)}).
      </span>{" "}
      This is from <Time at={new Date(since).toISOString()} />.{" "}
      <button type="button" className="small" onClick={retry}>
        try again
      </button>
    </div>
  );
}
