import type { Session } from "@mailserver-dev/sdk";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

type Api = (path: string, token: string | undefined, method: string) => Response | Promise<Response>;

const user = { id: "usr_1", email: "admin@demo.test", role: "owner" } as Session["user"];
let calls: { method: string; path: string; token: string | undefined }[] = [];

/** The session of a page that has just been opened, with a server that answers so. */
async function opened(answer: Api) {
  calls = [];
  vi.stubGlobal("fetch", async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    const token = request.headers.get("Authorization")?.replace("Bearer ", "");
    calls.push({ method: request.method, path: pathname, token });
    return answer(pathname, token, request.method);
  });
  const { session, api } = await import("./session.js");
  return { session, api, ...(await import("./cache.js")) };
}

function json(status: number, body: unknown): Response {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": type } });
}

function began(access_token: string): Response {
  return json(200, { access_token, expires_in: 900, token_type: "Bearer", user });
}

function problem(status: number, code: string): Response {
  return json(status, { type: `/problems/${code}`, title: code, status, code, detail: code });
}

const nobody = () => new Response(null, { status: 204 });
const emptyList = () => json(200, { items: [], next_cursor: null });
const refreshPath = "/v1/auth/sessions/refresh";
const refreshes = () => calls.filter(({ path }) => path === refreshPath).length;

/** Takes `valid` and calls any other token expired; `refresh` answers the page that asks for a new one. */
function server(valid: () => string, refresh: () => Response | Promise<Response>): Api {
  return (path, token, method) => {
    if (path === refreshPath) {
      return refresh();
    }
    if (path === "/v1/auth/sessions") {
      return began("first");
    }
    if (method === "DELETE") {
      return nobody();
    }
    return token === valid() ? emptyList() : problem(401, "token-expired");
  };
}

beforeEach(() => {
  vi.resetModules();
  // As on a page over plain http.
  vi.stubGlobal("navigator", { locks: undefined });
});
afterEach(() => vi.unstubAllGlobals());

test("who was signed in still is after a reload, and calls with the new token", async () => {
  const { session, api } = await opened((path) => (path === refreshPath ? began("t1") : emptyList()));
  await session.restore();
  expect(session.state().user).toEqual(user);
  await api.domains.list();
  expect(calls.map(({ path, token }) => [path, token])).toEqual([
    [refreshPath, undefined],
    ["/v1/domains", "t1"],
  ]);
});

test("without a cookie nobody is signed in, and nothing asks again", async () => {
  const { session, api } = await opened((path) => (path === refreshPath ? nobody() : problem(401, "unauthenticated")));
  await session.restore();
  expect(session.state().user).toBeUndefined();
  await expect(api.domains.list()).rejects.toMatchObject({ code: "unauthenticated" });
  expect(refreshes()).toBe(1);
});

test("a server that does not answer at the start leads to the form and not to a blank page", async () => {
  const { session } = await opened(() => Promise.reject(new TypeError("no connection")));
  await session.restore();
  expect(session.state().user).toBeUndefined();
});

test("many calls at once with a token that has expired refresh once, and all succeed", async () => {
  let valid = "first";
  let answer: (response: Response) => void = () => undefined;
  const refresh = () =>
    new Promise<Response>((resolve) => {
      answer = resolve;
    });
  const { session, api } = await opened(server(() => valid, refresh));
  await session.signIn("admin@demo.test", "secret");
  valid = "second";
  const all = Promise.all(Array.from({ length: 20 }, () => api.domains.list()));
  await vi.waitFor(() => expect(calls.filter(({ token }) => token === "first")).toHaveLength(20));
  await vi.waitFor(() => expect(refreshes()).toBe(1));
  answer(began("second"));
  await expect(all).resolves.toHaveLength(20);
  expect(refreshes()).toBe(1);
  expect(calls.filter(({ token }) => token === "second")).toHaveLength(20);
});

test("a call that comes back late with the old token takes the new one without another refresh", async () => {
  let valid = "first";
  let late: (response: Response) => void = () => undefined;
  const { session, api } = await opened((path, token, method) => {
    if (path === "/v1/users" && token === "first") {
      return new Promise<Response>((resolve) => {
        late = resolve;
      });
    }
    return server(
      () => valid,
      () => began("second"),
    )(path, token, method);
  });
  await session.signIn("admin@demo.test", "secret");
  const slow = api.users.list();
  await vi.waitFor(() => expect(calls.some(({ path }) => path === "/v1/users")).toBe(true));
  valid = "second";
  await api.domains.list();
  late(problem(401, "token-expired"));
  await slow;
  expect(refreshes()).toBe(1);
});

test.each([
  ["401", () => problem(401, "unauthenticated"), "unauthenticated"],
  ["204", nobody, "token-expired"],
] as const)("a session that the server has ended ends here (%s)", async (_, refresh, code) => {
  let valid = "first";
  const { session, api } = await opened(server(() => valid, refresh));
  await session.signIn("admin@demo.test", "secret");
  const heard = vi.fn();
  session.subscribe(heard);
  valid = "";
  await expect(api.domains.list()).rejects.toMatchObject({ code });
  expect(session.state().user).toBeUndefined();
  expect(heard).toHaveBeenCalled();
});

test.each([503, 500, 429])("a server in trouble (%d) signs nobody out", async (status) => {
  let valid = "first";
  const { session, api } = await opened(
    server(
      () => valid,
      () => problem(status, "unavailable"),
    ),
  );
  await session.signIn("admin@demo.test", "secret");
  valid = "";
  await expect(api.domains.list()).rejects.toMatchObject({ status });
  expect(session.state().user).toEqual(user);
});

test("a page that is refused as nobody leads to the form", async () => {
  const { session, api, cache } = await opened((path) =>
    path === "/v1/auth/sessions" ? began("first") : problem(401, "unauthenticated"),
  );
  await session.signIn("admin@demo.test", "secret");
  await cache.fetchQuery({ queryKey: ["x"], queryFn: () => api.domains.list() }).catch(() => undefined);
  expect(session.state().user).toBeUndefined();
});

const eve = { id: "usr_2", email: "eve@demo.test", role: "user" } as Session["user"];
const asEve = () => json(200, { access_token: "eves", expires_in: 900, token_type: "Bearer", user: eve });

test("who signs in after somebody else sees nothing of what that one read", async () => {
  let next = () => began("first");
  const { session, cache } = await opened((_, __, method) => (method === "DELETE" ? nobody() : next()));
  await session.signIn("admin@demo.test", "secret");
  cache.setQueryData(["emails", "one", "eml_1"], { subject: "for the admin's eyes" });
  await session.signOut();
  next = asEve;
  await session.signIn("eve@demo.test", "secret");
  expect(cache.getQueryData(["emails", "one", "eml_1"])).toBeUndefined();
});

test("who signs in again after a session that ended finds what was read", async () => {
  const { session, cache } = await opened(() => began("first"));
  await session.signIn("admin@demo.test", "secret");
  cache.setQueryData(["x"], "read");
  session.end();
  await session.signIn("admin@demo.test", "secret");
  expect(cache.getQueryData(["x"])).toBe("read");
});

test("a page that is open reads anew when the cookie has become somebody else's in another tab", async () => {
  let valid = "first";
  const { session, cache } = await opened((path, token) => {
    if (path === refreshPath) {
      valid = "eves";
      return asEve();
    }
    if (path === "/v1/auth/sessions") {
      return began("first");
    }
    return token === valid ? emptyList() : problem(401, "token-expired");
  });
  await session.signIn("admin@demo.test", "secret");
  const { QueryObserver } = await import("@tanstack/react-query");
  const read = vi.fn(async () => session.state().user?.email);
  const page = new QueryObserver(cache, { queryKey: ["x"], queryFn: read, staleTime: Number.POSITIVE_INFINITY });
  const leave = page.subscribe(() => undefined);
  await vi.waitFor(() => expect(page.getCurrentResult().data).toBe("admin@demo.test"));
  valid = "";
  await session.api.domains.list();
  expect(session.state().user).toEqual(eve);
  await vi.waitFor(() => expect(page.getCurrentResult().data).toBe("eve@demo.test"));
  leave();
});

test("a password stays in no memory of what was done", async () => {
  const { session, cache } = await opened(() => began("first"));
  const { MutationObserver } = await import("@tanstack/react-query");
  const form = new MutationObserver(cache, {
    mutationFn: (password: string) => session.signIn("a@demo.test", password),
  });
  const leave = form.subscribe(() => undefined);
  await form.mutate("secret");
  leave();
  await vi.waitFor(() => expect(cache.getMutationCache().getAll()).toEqual([]));
});

test("a wrong password says so and signs nobody in", async () => {
  const { session } = await opened(() => problem(401, "invalid-credentials"));
  await expect(session.signIn("admin@demo.test", "wrong")).rejects.toMatchObject({ code: "invalid-credentials" });
  expect(session.state().user).toBeUndefined();
});

test("signing out ends the session on the server too, and here only when the server has said so", async () => {
  let answers = false;
  const { session } = await opened((path, token, method) =>
    method === "DELETE" && !answers ? problem(500, "internal") : server(() => "first", nobody)(path, token, method),
  );
  await session.signIn("admin@demo.test", "secret");
  await expect(session.signOut()).rejects.toMatchObject({ status: 500 });
  expect(session.state().user).toEqual(user);
  answers = true;
  await session.signOut();
  expect(session.state().user).toBeUndefined();
  expect(calls.at(-1)).toMatchObject({ method: "DELETE", path: "/v1/auth/sessions/current" });
});

test("of several tabs one at a time uses the cookie", async () => {
  const request = vi.fn((_: string, work: () => Promise<unknown>) => work());
  vi.stubGlobal("navigator", { locks: { request } });
  const { session } = await opened(() => began("t1"));
  await session.restore();
  expect(request).toHaveBeenCalledExactlyOnceWith("mailserver-refresh", expect.any(Function));
  expect(session.state().user).toEqual(user);
});
