// @vitest-environment node

import { expect, test } from "vitest";
import { expiryOf, linesOf, stateOf, termOf } from "./api-key-words.js";

const now = new Date("2026-11-25T15:00:00Z");

test.each([
  [{ expires_at: null, revoked_at: null }, "active"],
  [{ expires_at: "2026-11-25T15:00:01Z", revoked_at: null }, "active"],
  [{ expires_at: "2026-11-25T15:00:00Z", revoked_at: null }, "expired"],
  [{ expires_at: "2026-11-25T14:00:00Z", revoked_at: "2026-11-25T13:00:00Z" }, "revoked"],
  [{ expires_at: null, revoked_at: "2026-11-25T13:00:00Z" }, "revoked"],
] as const)("a key with %j is %s", (key, want) => {
  expect(stateOf(key, now.getTime())).toBe(want);
});

test.each([
  ["never", "", undefined],
  ["never", "2027-01-31", undefined],
  ["30 days", "", "2026-12-25T15:00:00.000Z"],
  ["90 days", "", "2027-02-23T15:00:00.000Z"],
  ["1 year", "", "2027-11-25T15:00:00.000Z"],
  ["date", "2027-01-31", "2027-01-31T23:59:59.000Z"],
  ["date", "", undefined],
  ["date", "2027-02-31x", undefined],
] as const)("%s %s ends at %s", (term, date, want) => {
  expect(expiryOf(term, date, now)?.toISOString()).toBe(want);
});

test("a term that is none is never", () => {
  expect(termOf("1 year")).toBe("1 year");
  expect(termOf("2 years")).toBe("never");
});

test("networks are lines, whatever stands around them", () => {
  expect(linesOf(" 192.0.2.0/24 \r\n\n2001:db8::/32\n")).toEqual(["192.0.2.0/24", "2001:db8::/32"]);
  expect(linesOf("\n ")).toEqual([]);
});
