import { expect, it } from "vitest";
import { makePassword } from "./password.js";

it("makes passwords that the server takes and that nobody has twice", () => {
  const many = Array.from({ length: 500 }, makePassword);
  expect(new Set(many).size).toBe(500);
  for (const one of many) {
    expect(one).toMatch(/^[a-km-np-z2-9]{5}(-[a-km-np-z2-9]{5}){4}$/);
  }
});

it("uses every letter", () => {
  const seen = new Set(Array.from({ length: 200 }, makePassword).join("").replaceAll("-", ""));
  expect(seen.size).toBe(32);
});
