import type { QueueDestination } from "@mailserver-dev/sdk";
import { describe, expect, it } from "vitest";
import { failureWords, stateWords } from "./queue-words.js";

const idle: QueueDestination = {
  name: "elsewhere.test",
  state: "idle",
  queued: 0,
  sending: 0,
  deferred: 0,
  held: 0,
  failures: 0,
  oldest_at: null,
  next_attempt_at: null,
  paused_until: null,
  last_reply: "",
  last_host: "",
  last_attempt_at: null,
  last_success_at: null,
};
const at = "2026-11-25T15:20:00Z";

describe("what a destination's state means", () => {
  it("tells the breaker from a server that asked for a pause", () => {
    const breaker = stateWords({ ...idle, state: "paused", failures: 6, paused_until: at });
    expect(breaker.words).toContain("6 connections in a row failed");
    expect(breaker.until).toBe(at);
    expect(stateWords({ ...idle, state: "paused", paused_until: at }).words).toContain("asked to be left alone");
  });

  it("has words for every state", () => {
    for (const state of ["held", "sending", "paused", "waiting", "idle"] as const) {
      expect(stateWords({ ...idle, state }).words).not.toBe("");
    }
  });

  it("says how far the breaker is from opening", () => {
    expect([0, 3, 5, 9].map(failureWords)).toEqual([
      "none in a row",
      "3 in a row; 2 more open the breaker",
      "5 in a row; the breaker is open",
      "9 in a row; the breaker is open",
    ]);
  });
});
