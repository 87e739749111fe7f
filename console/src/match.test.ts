import { expect, it } from "vitest";
import { matchAddress, matchName, oneOf } from "./match.js";

it.each(["ali", "@demo.test", "alice@", "alice@demo", "alice@demo."])("looks for the part %s itself", (text) => {
  expect(matchAddress(text).whole).toBeUndefined();
  expect(matchAddress(text).has(`x${text.toUpperCase()}x`)).toBe(true);
});

it("finds everybody when nothing is typed", () => {
  expect(matchAddress(undefined).whole).toBeUndefined();
  expect(matchAddress(undefined).has("alice@demo.test")).toBe(true);
});

it("does not find what is not there", () => {
  expect(matchAddress("bob").has("alice@demo.test")).toBe(false);
});

it("knows what the API can be asked for", () => {
  expect(matchAddress("alice@mail.demo.test").whole).toBe("alice@mail.demo.test");
  expect(matchName("müller.test").whole).toBe("müller.test");
  for (const part of ["demo", ".test", "demo.", "a@demo.test", "de mo.test"]) {
    expect(matchName(part).whole).toBeUndefined();
  }
});

it("takes no word that does not exist", () => {
  expect(oneOf(["owner", "user"], "user")).toBe("user");
  expect(oneOf(["owner", "user"], "root")).toBeUndefined();
});
