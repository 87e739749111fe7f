import { expect, test } from "vitest";
import { tickOf } from "./plot.js";

test("a month of days is no row of midnights", () => {
  const day = Date.UTC(2026, 10, 25) / 1000;
  expect([day, day + 86_400, day + 900].map(tickOf)).toEqual(["11-25", "11-26", "00:15"]);
});
