// @vitest-environment node

import { expect, test } from "vitest";
import { absolute, bytes, counted, duration, number, relative, shortened } from "./format.js";

test.each([
  [0, "0"],
  [999, "999"],
  [12_345, "12,345"],
  [-1_000_000, "-1,000,000"],
])("the number %d is read as %s", (n, want) => {
  expect(number(n)).toBe(want);
});

test.each([
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [102_400, "100 KiB"],
  [5 * 1024 ** 3, "5.0 GiB"],
  [3 * 1024 ** 5, "3072 TiB"],
])("%d bytes are read as %s", (n, want) => {
  expect(bytes(n)).toBe(want);
});

test("one is not many", () => {
  expect(counted(1, "recipient")).toBe("1 recipient");
  expect(counted(0, "recipient")).toBe("0 recipients");
  expect(counted(2_000, "entry", "entries")).toBe("2,000 entries");
});

test.each([
  [-3, "0 s"],
  [0.4, "0 s"],
  [59, "59 s"],
  [59.6, "1 min"],
  [125, "2 min"],
  [3599, "59 min"],
  [3600, "1 h"],
  [86_399, "23 h"],
  [86_400, "1 d"],
  [400 * 86_400, "400 d"],
])("%d seconds are read as %s", (seconds, want) => {
  expect(duration(seconds)).toBe(want);
});

const now = new Date("2026-11-25T15:00:00Z");

test.each([
  ["2026-11-25T14:59:59.500Z", "now"],
  ["2026-11-25T15:00:00.900Z", "now"],
  ["2026-11-25T14:57:00Z", "3 min ago"],
  ["2026-11-25T17:00:00Z", "in 2 h"],
  ["2026-11-20T15:00:00Z", "5 d ago"],
])("%s is %s", (at, want) => {
  expect(relative(new Date(at), now)).toBe(want);
});

test("the exact time is UTC wherever the reader is", () => {
  expect(absolute(new Date("2026-11-25T23:04:05.678+09:00"))).toBe("2026-11-25 14:04:05 UTC");
});

test("a long id keeps its beginning and its end", () => {
  expect(shortened("short")).toBe("short");
  expect(shortened("eml_01m8a8zewqey2asb2az7pr24ff")).toBe("eml_01m8a8ze…r24ff");
  expect(shortened("eml_01m8a8zewqey2asb2az7pr24ff")).toHaveLength(18);
  expect(shortened("exactly18character")).toBe("exactly18character");
});
