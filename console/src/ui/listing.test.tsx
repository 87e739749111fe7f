import { MailserverProblem, MailserverUnreachable } from "@mailserver-dev/sdk";
import { QueryClient, QueryClientProvider, useInfiniteQuery } from "@tanstack/react-query";
import { act } from "react";
import { afterEach, expect, test, vi } from "vitest";
import type { Page } from "../queries.js";
import { button, one, press, render, until } from "../testing.js";
import { Listing, Loading } from "./listing.js";

interface Row {
  id: string;
  name: string;
  gone?: boolean;
}

const columns = [
  { head: "Name", cell: (row: Row) => row.name },
  { head: "Size", cell: (row: Row) => row.name.length, kind: "number" },
] as const;

function List({
  read,
  only,
}: {
  read: (cursor: string | undefined) => Promise<Page<Row>>;
  only?: (row: Row) => boolean;
}) {
  const query = useInfiniteQuery({
    queryKey: ["rows"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => read(pageParam),
    getNextPageParam: (last: Page<Row>) => last.next_cursor ?? undefined,
  });
  return (
    <>
      <button type="button" onClick={() => void query.refetch()}>
        read again
      </button>
      <Listing
        caption="Things"
        query={query}
        columns={columns}
        keyOf={(row) => row.id}
        empty={<p>Nothing is here.</p>}
        only={only}
        quiet={(row) => row.gone === true}
      />
    </>
  );
}

async function show(read: (cursor: string | undefined) => Promise<Page<Row>>, only?: (row: Row) => boolean) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return render(
    <QueryClientProvider client={client}>
      <List read={read} only={only} />
    </QueryClientProvider>,
  );
}

function page(names: string[], next: string | null = null): Promise<Page<Row>> {
  return Promise.resolve({ items: names.map((name) => ({ id: name, name })), next_cursor: next });
}

function trouble(retryAfter?: number): MailserverProblem {
  return new MailserverProblem(
    {
      type: "/problems/x",
      title: "Too many",
      status: 429,
      code: "rate-limited",
      detail: "wait a little",
      request_id: "req_7",
    },
    retryAfter,
  );
}

const names = () => [...document.querySelectorAll("tbody tr td:first-child")].map((td) => td.textContent);

afterEach(() => vi.useRealTimers());

test("a list that is being read says so at once, and shows bones when that takes long", async () => {
  vi.useFakeTimers();
  const { place } = await render(<Loading what="Things" />);
  expect(one('[role="status"]').getAttribute("aria-busy")).toBe("true");
  expect(place.textContent).toBe("Loading: Things");
  expect(place.querySelectorAll(".bone")).toHaveLength(0);
  await act(async () => vi.advanceTimersByTime(200));
  expect(place.querySelectorAll(".bone")).toHaveLength(3);
});

test("loading, then the rows under their heads", async () => {
  let answer: (page: Page<Row>) => void = () => undefined;
  await show(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  expect(one('[role="status"]').textContent).toContain("Loading: Things");
  answer(await page(["a", "bcd"]));
  await until(() => document.querySelector("table") !== null);
  expect(document.querySelector('[role="status"]')).toBeNull();
  expect(one("caption").textContent).toBe("Things");
  expect([...document.querySelectorAll('th[scope="col"]')].map((th) => th.textContent)).toEqual(["Name", "Size"]);
  expect(names()).toEqual(["a", "bcd"]);
  const size = document.querySelectorAll("tbody td")[3];
  expect([size?.textContent, size?.getAttribute("data-label"), size?.className]).toEqual(["3", "Size", "number"]);
});

test("an empty list says what to do, not nothing", async () => {
  await show(() => page([]));
  await until(() => document.querySelector(".empty") !== null);
  expect(one(".empty").textContent).toBe("Nothing is here.");
  expect(document.querySelector("table")).toBeNull();
});

test("a list that cannot be read says why, and can be tried again", async () => {
  let works = false;
  await show(() => (works ? page(["a"]) : Promise.reject(trouble())));
  await until(() => document.querySelector('[role="alert"]') !== null);
  expect(one('[role="alert"]').textContent).toContain("wait a little");
  expect(one('[role="alert"] code').textContent).toBe("req_7");
  expect(document.querySelector("table")).toBeNull();
  works = true;
  await press("try again");
  await until(() => document.querySelector("table") !== null);
  expect(document.querySelector('[role="alert"]')).toBeNull();
});

test("a server that asks for patience is not asked again before", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  await show(() => Promise.reject(trouble(2)));
  await until(() => document.querySelector('[role="alert"]') !== null);
  expect(button("try again in 2 s").disabled).toBe(true);
  await act(async () => vi.advanceTimersByTime(2_000));
  expect(button("try again").disabled).toBe(false);
});

test("when the next reading fails the rows stay, with their age", async () => {
  let works = true;
  await show(() => (works ? page(["a"]) : Promise.reject(new MailserverUnreachable("no answer"))));
  await until(() => document.querySelector("table") !== null);
  works = false;
  await press("read again");
  await until(() => document.querySelector(".stale") !== null);
  expect(names()).toEqual(["a"]);
  expect(one(".stale [role=status]").textContent, "the age is not announced as it passes").not.toMatch(/now|ago/);
  expect(one(".stale").textContent).toMatch(/could not be asked again \(no answer\)\. This is from .*(now|ago)/);
  expect(one(".stale time").getAttribute("dateTime")).toMatch(/^\d{4}-\d\d-\d\dT/);
  works = true;
  await press("try again");
  await until(() => document.querySelector(".stale") === null);
});

test("more pages come below, as long as there are any", async () => {
  const read = vi.fn((cursor: string | undefined) => (cursor === undefined ? page(["a"], "c1") : page(["b"])));
  await show(read);
  await until(() => document.querySelector("table") !== null);
  await press("more");
  await until(() => names().length === 2);
  expect(names()).toEqual(["a", "b"]);
  expect(read.mock.calls).toEqual([[undefined], ["c1"]]);
  expect([...document.querySelectorAll("button")].map((b) => b.textContent)).toEqual(["read again"]);
});

test("a page without a row that is wanted still leads to the next one", async () => {
  await show(
    (cursor) => (cursor === undefined ? page(["no"], "c1") : page(["yes"])),
    (row) => row.name === "yes",
  );
  await until(() => document.querySelector(".empty") !== null);
  await press("more");
  await until(() => names().length === 1);
  expect(names()).toEqual(["yes"]);
});

test("rows of the past are there, and quiet", async () => {
  await show(() =>
    Promise.resolve({
      items: [
        { id: "1", name: "old", gone: true },
        { id: "2", name: "new" },
      ],
      next_cursor: null,
    }),
  );
  await until(() => document.querySelector("table") !== null);
  expect([...document.querySelectorAll("tbody tr")].map((tr) => tr.className)).toEqual(["quiet", ""]);
});
