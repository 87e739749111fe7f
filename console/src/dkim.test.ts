import { expect, it } from "vitest";
import { keptUntil, type Step, whyNot } from "./dkim.js";

const used = "2026-11-25T15:00:00Z";

it.each([
  ["pending", null, ["active", "revoked", "deleted"]],
  ["active", used, ["retiring", "revoked"]],
  ["retiring", used, ["active", "revoked"]],
  ["revoked", used, ["deleted"]],
] as const)("offers what the server allows for a %s key", (state, activated_at, allowed) => {
  const steps: Step[] = ["active", "retiring", "revoked", "deleted"];
  expect(steps.filter((step) => whyNot({ state, activated_at }, step) === undefined)).toEqual(allowed);
});

it("keeps a record for seven days, over the end of a month too", () => {
  expect(keptUntil(used)).toBe("2026-12-02");
});
