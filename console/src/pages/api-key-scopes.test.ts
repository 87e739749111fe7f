// @vitest-environment node

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { allows, complete, includedBy, mayGrant, presets, resources, type Scope, scopes } from "./api-key-scopes.js";

const set = (...list: Scope[]) => new Set<Scope>(list);

test("the table has every right exactly once", () => {
  const shown = resources()
    .flatMap(({ read, write, more }) => [read, write, ...more])
    .filter((s) => s !== undefined);
  expect(shown.toSorted()).toEqual(scopes.toSorted());
  expect(resources().find(({ name }) => name === "emails")).toEqual({
    name: "emails",
    read: "emails:read",
    write: undefined,
    more: ["emails:send"],
  });
});

test("the words and the owner's rights are those of the server", () => {
  const source = readFileSync("../server/account/scope.go", "utf8");
  const server = [...source.matchAll(/\{Name: "([a-z-]+:[a-z]+)", Text: "([^"]+)"(, Whole: true)?\}/g)];
  expect(server.length).toBeGreaterThan(20);
  for (const [, name, text, whole] of server) {
    const scope = name as Scope;
    expect(allows[scope], name).toBe(text);
    expect(mayGrant("admin", scope), name).toBe(whole === undefined);
    expect(mayGrant("owner", scope), name).toBe(true);
  }
  expect(server.map(([, name]) => name)).toEqual(scopes);
});

test("who may write may read, and only that", () => {
  expect(includedBy("domains:read", set("domains:write"))).toBe("domains:write");
  expect(includedBy("domains:read", set("users:write"))).toBeUndefined();
  expect(includedBy("dkim:export", set("dkim:write"))).toBeUndefined();
  expect(includedBy("events:read", set("domains:write"))).toBeUndefined();
  expect(complete(set("queue:write", "emails:send"))).toEqual(["emails:send", "queue:read", "queue:write"]);
});

test("the usual choices give what their names say", () => {
  const of = Object.fromEntries(presets.map((preset) => [preset.name, preset.of]));
  expect(of["send only"]).toEqual(["emails:send"]);
  expect(of["CI provisioning"]).toEqual([
    "domains:read",
    "domains:write",
    "dkim:read",
    "dkim:write",
    "users:read",
    "users:write",
    "operations:read",
  ]);
  expect(of["read only"]?.every((scope) => scope.endsWith(":read"))).toBe(true);
  expect(of["read only"]).not.toContain("messages:content");
  expect(of.everything).toEqual(scopes);
});
