import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { button, press, render } from "../testing.js";
import { Copy } from "./copy.js";

const text = "ms_live_it's\n`secret`";

/** A browser that has or has not each of the two ways. What the old one finds selected is given back. */
function browser(ways: { clipboard: boolean; command: boolean }) {
  const writeText = vi.fn(() => (ways.clipboard ? Promise.resolve() : Promise.reject(new Error("not allowed"))));
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  const selected: string[] = [];
  document.execCommand = (command: string) => {
    const area = document.activeElement;
    if (command === "copy" && area instanceof HTMLTextAreaElement) {
      selected.push(area.value.slice(area.selectionStart, area.selectionEnd));
    }
    return ways.command;
  };
  return { writeText, selected };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  Reflect.deleteProperty(document, "execCommand");
});

const copy = () => button("copy the key");

test("the text is on the clipboard and the button says so for a moment", async () => {
  const { writeText, selected } = browser({ clipboard: true, command: false });
  await render(<Copy text={text} what="the key" />);
  expect(copy().textContent).toBe("copy");
  await press("copy the key");
  expect(writeText).toHaveBeenCalledExactlyOnceWith(text);
  expect(selected).toEqual([]);
  expect(copy().textContent).toBe("copied");
  await act(async () => vi.advanceTimersByTime(1_500));
  expect(copy().textContent).toBe("copy");
});

test("where the clipboard is refused a selection is copied, nothing of it stays, and the focus comes back", async () => {
  const { selected } = browser({ clipboard: false, command: true });
  await render(<Copy text={text} what="the key" />);
  await press("copy the key");
  expect(selected).toEqual([text]);
  expect(copy().textContent).toBe("copied");
  expect(document.querySelector("textarea")).toBeNull();
  expect(document.activeElement).toBe(copy());
});

test("a page over plain http, which has no clipboard at all, takes the old way too", async () => {
  const { selected } = browser({ clipboard: false, command: true });
  vi.stubGlobal("navigator", {});
  await render(<Copy text={text} what="the key" />);
  await press("copy the key");
  expect(selected).toEqual([text]);
  expect(copy().textContent).toBe("copied");
});

test("what was not copied is not called copied", async () => {
  browser({ clipboard: false, command: false });
  await render(<Copy text={text} what="the key" />);
  await press("copy the key");
  expect(copy().textContent).toBe("not copied");
});

test("who hears the page learns what is copied and that it was", async () => {
  browser({ clipboard: true, command: false });
  await render(
    <Copy text={text} what="the key">
      copy all
    </Copy>,
  );
  expect(copy().textContent).toBe("copy all");
  expect(copy().querySelector('[aria-live="polite"]')).not.toBeNull();
});
