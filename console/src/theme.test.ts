import { act, createElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { button, press, render } from "./testing.js";
import { applyTheme, onColours, useTheme } from "./theme.js";

beforeEach(() => {
  localStorage.clear();
  delete document.documentElement.dataset.theme;
});

function Switch() {
  const [theme, next] = useTheme();
  return createElement("button", { type: "button", onClick: next }, theme);
}

test("without a choice the page follows the system", () => {
  applyTheme();
  expect(document.documentElement.dataset.theme).toBe("auto");
});

test("a choice is there again after a reload, and nonsense in the store is no choice", () => {
  localStorage.setItem("theme", "dark");
  applyTheme();
  expect(document.documentElement.dataset.theme).toBe("dark");
  localStorage.setItem("theme", '"><script>');
  applyTheme();
  expect(document.documentElement.dataset.theme).toBe("auto");
});

test("the switch goes from auto over light and dark back to auto, and keeps each", async () => {
  await render(createElement(Switch));
  for (const [from, to] of [
    ["auto", "light"],
    ["light", "dark"],
    ["dark", "auto"],
  ] as const) {
    await press(from);
    expect(button(to).textContent).toBe(to);
    expect(document.documentElement.dataset.theme).toBe(to);
    expect(localStorage.getItem("theme")).toBe(to);
  }
});

test("what is drawn in the page's colours hears when they change, and no longer when it is gone", async () => {
  await render(createElement(Switch));
  const changed = vi.fn();
  const end = onColours(changed);
  await press("auto");
  expect(changed).toHaveBeenCalledTimes(1);
  end();
  await act(async () => button("light").click());
  expect(changed).toHaveBeenCalledTimes(1);
});
