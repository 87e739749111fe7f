import { expect, test } from "vitest";
import { router } from "./router.js";

/** What the page at an address is told of its parameters. */
function searchOf(path: string): unknown {
  const at = new URL(path, "http://console.test");
  const matches = router.matchRoutes(at.pathname, router.options.parseSearch(at.search));
  return matches.at(-1)?.search;
}

test("a parameter that looks like a number is text all the same", () => {
  expect(searchOf("/domains?name=123")).toEqual({ name: "123" });
  expect(searchOf("/users?email=12&role=admin")).toEqual({ email: "12", role: "admin" });
});

test("what is no text reaches no page", () => {
  expect(searchOf("/domains?name=true")).toEqual({ name: undefined });
  expect(searchOf("/emails?recipient=[1]&status=null")).toEqual({ recipient: undefined, status: undefined });
});

test.each(["//evil.test", "/\\evil.test", "https://evil.test", "javascript:alert(1)", "5", "evil"])(
  "signing in does not lead to %s",
  (to) => {
    expect(searchOf(`/login?to=${encodeURIComponent(to)}`)).toEqual({ to: undefined });
  },
);

test("signing in leads back to the page that was asked for", () => {
  expect(searchOf("/login?to=%2Femails%3Fstatus%3Dheld")).toEqual({ to: "/emails?status=held" });
});
