import { describe, expect, it } from "vitest";
import { joinSize, splitSize, usage } from "./size.js";

const gib = 2 ** 30;

describe("a quota in words", () => {
  it.each([
    [1.2 * gib, 5 * gib, "1.2 of 5 GiB"],
    [1808, 5 * gib, "1.8 KiB of 5 GiB"],
    [0, 5 * gib, "0 of 5 GiB"],
    [512, 1024, "512 bytes of 1 KiB"],
  ])("says %d of %d as %s", (used, quota, text) => {
    expect(usage(used, quota)).toBe(text);
  });
});

describe("a size in a form", () => {
  it.each([
    [5 * gib, "5", "GiB"],
    [1.5 * gib, "1.5", "GiB"],
    [2048 * gib, "2", "TiB"],
    [512 * gib, "512", "GiB"],
    [300 * 2 ** 20, "300", "MiB"],
  ])("%d is typed as %s %s", (size, amount, unit) => {
    expect(splitSize(size)).toEqual({ amount, unit });
    expect(joinSize(amount, unit)).toBe(size);
  });

  it("comes back exactly when it was set by the byte", () => {
    const { amount, unit } = splitSize(123_456_789);
    expect(joinSize(amount, unit)).toBe(123_456_789);
  });

  it("is no number when none was typed", () => {
    expect(joinSize("", "GiB")).toBeNaN();
    expect(joinSize("five", "GiB")).toBeNaN();
    expect(joinSize("5", "parsec")).toBeNaN();
  });
});
