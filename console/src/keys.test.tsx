import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { useKeys } from "./keys.js";
import { one, press, render } from "./testing.js";

const navigate = vi.hoisted(() => vi.fn());
vi.mock("@tanstack/react-router", () => ({ useNavigate: () => navigate }));

const sections = [
  { to: "/domains", name: "domains", key: "d" },
  { to: "/queue", name: "queue", key: "q" },
] as const;

function Page() {
  const [help, show] = useKeys(sections);
  return (
    <main>
      <input type="search" aria-label="Name" />
      <textarea aria-label="Text" />
      <table>
        <tbody>
          {["a", "b", "c"].map((name) => (
            <tr key={name}>
              <td>
                <a href={`#${name}`}>{name}</a> <a href="#other">other</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {help}
      <button type="button" onClick={show}>
        keys
      </button>
    </main>
  );
}

let clock = 0;

/** Presses a key some milliseconds after the one before, where the focus is. */
async function key(name: string, options: KeyboardEventInit & { after?: number } = {}): Promise<boolean> {
  const { after = 100, ...init } = options;
  clock += after;
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...init });
  Object.defineProperty(event, "timeStamp", { value: clock });
  await act(async () => void (document.activeElement ?? document.body).dispatchEvent(event));
  return event.defaultPrevented;
}

beforeEach(() => {
  navigate.mockReset();
  localStorage.clear();
  clock = 10_000;
});

const focused = () => document.activeElement?.textContent;

test("g and a letter go to a section", async () => {
  await render(<Page />);
  await key("g");
  expect(await key("q")).toBe(true);
  expect(navigate).toHaveBeenCalledExactlyOnceWith({ to: "/queue" });
});

test("a letter alone, after another key or too late goes nowhere", async () => {
  await render(<Page />);
  await key("d");
  await key("g");
  await key("x");
  await key("d");
  await key("g");
  await key("d", { after: 1_500 });
  expect(navigate).not.toHaveBeenCalled();
});

test("what is typed into a field or held with a modifier is no command", async () => {
  await render(<Page />);
  for (const field of ["input", "textarea"]) {
    one(field).focus();
    await key("g");
    await key("d");
    expect(await key("/")).toBe(false);
    expect(await key("?")).toBe(false);
  }
  one("input").blur();
  for (const held of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }]) {
    await key("g", held);
    await key("d", held);
    expect(await key("/", held)).toBe(false);
  }
  expect(navigate).not.toHaveBeenCalled();
  expect(document.querySelector("dialog")).toBeNull();
});

test("the slash goes to the search, and is not typed there", async () => {
  await render(<Page />);
  expect(await key("/")).toBe(true);
  expect(document.activeElement).toBe(one("input"));
});

test("j and k walk over the rows from the first one and stay inside", async () => {
  await render(<Page />);
  for (const [pressed, want] of [
    ["k", "a"],
    ["j", "b"],
    ["j", "c"],
    ["j", "c"],
    ["k", "b"],
    ["k", "a"],
    ["k", "a"],
  ] as const) {
    await key(pressed);
    expect(focused()).toBe(want);
  }
});

test("the question mark shows the keys; while a dialog is open no key does anything", async () => {
  await render(<Page />);
  await key("?");
  expect([...document.querySelectorAll("dialog dt")].map((dt) => dt.textContent)).toEqual([
    "/",
    "j k",
    "Enter",
    "g d",
    "g q",
    "?",
  ]);
  await key("g");
  await key("d");
  expect(navigate).not.toHaveBeenCalled();
  await press("close");
  expect(document.querySelector("dialog")).toBeNull();
  await key("g");
  await key("d");
  expect(navigate).toHaveBeenCalledTimes(1);
});

test("a page that is gone does not listen any more", async () => {
  const { draw } = await render(<Page />);
  await draw(null);
  await key("g");
  await key("d");
  expect(navigate).not.toHaveBeenCalled();
});

test("who is disturbed by single keys switches them off, and on again without one", async () => {
  await render(<Page />);
  await press("keys");
  await act(async () => one<HTMLInputElement>("dialog input").click());
  await press("close");
  expect(await key("?")).toBe(false);
  await key("g");
  await key("q");
  expect(document.querySelector("dialog[open]")).toBeNull();
  expect(navigate).not.toHaveBeenCalled();

  await press("keys");
  expect(one<HTMLInputElement>("dialog input").checked).toBe(false);
  await act(async () => one<HTMLInputElement>("dialog input").click());
  await press("close");
  expect(await key("?")).toBe(true);
});
