import { act } from "react";
import { expect, test } from "vitest";
import { one, press, render } from "../testing.js";
import { Tabs } from "./tabs.js";

const tabs = ["curl", "Go", "TypeScript"].map((name) => ({ name, content: <p>code of {name}</p> }));
const chosen = () => one('[role="tab"][aria-selected="true"]');
const key = (name: string) =>
  act(
    async () => void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true })),
  );

test("the arrow keys, Home and End go around, and the content follows with its name", async () => {
  await render(<Tabs label="Language" tabs={tabs} />);
  one('[role="tab"][tabindex="0"]').focus();
  for (const [pressed, want] of [
    ["ArrowRight", "Go"],
    ["ArrowRight", "TypeScript"],
    ["ArrowRight", "curl"],
    ["ArrowLeft", "TypeScript"],
    ["Home", "curl"],
    ["End", "TypeScript"],
    ["x", "TypeScript"],
  ] as const) {
    await key(pressed);
    expect([chosen().textContent, document.activeElement]).toEqual([want, chosen()]);
    expect(one('[role="tabpanel"]').textContent).toBe(`code of ${want}`);
    expect(one('[role="tabpanel"]').getAttribute("aria-labelledby")).toBe(chosen().id);
  }
});

test("Tab passes the others by: one of them has the focus", async () => {
  await render(<Tabs label="Language" tabs={tabs} />);
  await press("Go");
  expect([...document.querySelectorAll('[role="tab"]')].map((tab) => tab.getAttribute("tabindex"))).toEqual([
    "-1",
    "0",
    "-1",
  ]);
  expect(one('[role="tablist"]').getAttribute("aria-label")).toBe("Language");
});
