import { focusManager, QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { createElement } from "react";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { gathered, useLiveQueries, useStream } from "./live.js";
import { session } from "./session.js";
import { one, render, until } from "./testing.js";
import { LiveNote } from "./ui/live.js";

describe("a page that follows the stream", () => {
  afterEach(() => {
    session.end();
    vi.unstubAllGlobals();
  });

  const answer = (status: number, body: unknown) =>
    new Response(JSON.stringify(body), {
      status,
      headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json" },
    });
  const refusal = (status: number, code: string) =>
    answer(status, { type: `/problems/${code}`, title: code, status, code, detail: code });
  const Page = () => createElement(LiveNote, { live: useStream({ type: ["email.*"] }, () => undefined) });

  async function signedIn(stream: () => Response) {
    vi.stubGlobal("fetch", async (input: RequestInfo | URL, init?: RequestInit) => {
      const { pathname } = new URL(new Request(input, init).url);
      return pathname === "/v1/events/stream"
        ? stream()
        : answer(200, { access_token: "t", expires_in: 900, token_type: "Bearer", user: { id: "usr_1" } });
    });
    await session.signIn("admin@demo.test", "secret");
  }

  it("ends the session here when it was ended elsewhere, and shows nothing to whoever sits here now", async () => {
    await signedIn(() => refusal(401, "unauthenticated"));
    await render(createElement(Page));
    await until(() => session.state().user === undefined);
  });

  it("asks for nothing while nobody looks at it, and then for what happened meanwhile", async () => {
    const cache = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
    let say: (text: string) => void = () => undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (sink) => {
        say = (text) => sink.enqueue(new TextEncoder().encode(text));
      },
    });
    await signedIn(() => new Response(stream, { headers: { "Content-Type": "text/event-stream" } }));
    const read = vi.fn(async () => "rows");
    const List = () => {
      useQuery({ queryKey: ["list"], queryFn: read });
      return createElement(LiveNote, { live: useLiveQueries({ type: ["email.*"] }, ["list"]) });
    };
    onTestFinished(() => focusManager.setFocused(undefined));
    focusManager.setFocused(false);
    await render(createElement(QueryClientProvider, { client: cache }, createElement(List)));
    await until(() => one(".live").textContent === "live");
    const isOld = () => cache.getQueryState(["list"])?.isInvalidated === true;
    await until(isOld); // since the stream has opened
    focusManager.setFocused(true);
    await until(() => read.mock.calls.length === 2 && !isOld());
    focusManager.setFocused(false);
    say("id: 1\nevent: email.delivered\ndata: {}\n\n");
    await until(isOld);
    expect(read).toHaveBeenCalledTimes(2);
    focusManager.setFocused(true);
    await until(() => read.mock.calls.length === 3);
  });

  it("says how old its data is while the stream is refused, and announces only that", async () => {
    await signedIn(() => refusal(403, "scope-missing"));
    await render(createElement(Page));
    await until(() => /reconnecting, data from/.test(one(".live").textContent ?? ""));
    expect(one(".live [role=status]").textContent).toBe("reconnecting");
    expect(session.state().user).toBeDefined();
  });
});

describe("reading anew when something happens", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("reads once for many events", async () => {
    const read = vi.fn(async () => undefined);
    const { ask } = gathered(read, 500);
    for (let i = 0; i < 100; i++) {
      ask();
    }
    await vi.advanceTimersByTimeAsync(5_000);
    expect(read).toHaveBeenCalledTimes(1);
  });

  it("never reads while a reading lasts, and once more for what happened meanwhile", async () => {
    let end = () => {};
    const read = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
    const { ask } = gathered(read, 500);
    ask();
    await vi.advanceTimersByTimeAsync(600);
    ask();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(read).toHaveBeenCalledTimes(1);
    end();
    await vi.advanceTimersByTimeAsync(600);
    expect(read).toHaveBeenCalledTimes(2);
  });

  it("goes on after a reading that failed, and ends when it is stopped", async () => {
    const read = vi.fn(() => Promise.reject(new Error("gone")));
    const { ask, stop } = gathered(read, 500);
    ask();
    await vi.advanceTimersByTimeAsync(600);
    ask();
    await vi.advanceTimersByTimeAsync(600);
    expect(read).toHaveBeenCalledTimes(2);
    ask();
    stop();
    await vi.advanceTimersByTimeAsync(600);
    expect(read).toHaveBeenCalledTimes(2);
  });
});
