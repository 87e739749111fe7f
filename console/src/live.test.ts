import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { gathered } from "./live.js";

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
