import { expect, it } from "vitest";
import { whyNot } from "./rights.js";

it.each([
  ["owner", "owner", true],
  ["owner", "user", true],
  ["admin", "user", true],
  ["admin", "admin", false],
  ["admin", "owner", false],
  ["user", "user", false],
] as const)("lets an %s change an %s: %s", (me, user, may) => {
  expect(whyNot({ role: me }, { role: user }) === undefined).toBe(may);
});

it("lets nobody change anything before the sign-in", () => {
  expect(whyNot(undefined, { role: "user" })).toBeDefined();
});
