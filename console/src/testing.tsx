// What the unit tests share: React in a document, without a library.

import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { onTestFinished } from "vitest";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

export interface Rendered {
  /** Where it stands in the document. */
  place: HTMLElement;
  /** Draws something else in the same place. */
  draw: (node: ReactNode) => Promise<void>;
}

/** Draws in the document until the test ends. */
export async function render(node: ReactNode): Promise<Rendered> {
  const place = document.createElement("div");
  document.body.append(place);
  const root: Root = createRoot(place);
  onTestFinished(async () => {
    await act(async () => root.unmount());
    place.remove();
  });
  const draw = (next: ReactNode) => act(async () => root.render(next));
  await draw(node);
  return { place, draw };
}

/** The one element that matches; the test fails without it. */
export function one<E extends HTMLElement = HTMLElement>(selector: string, inside: ParentNode = document): E {
  const found = inside.querySelectorAll<E>(selector);
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new Error(`${found.length} elements match ${selector} in ${document.body.innerHTML}`);
  }
  return first;
}

/** The button that is called so. */
export function button(name: string): HTMLButtonElement {
  const found = [...document.querySelectorAll("button")].filter(
    (b) => (b.getAttribute("aria-label") ?? b.textContent) === name,
  );
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} buttons are called "${name}" in ${document.body.innerHTML}`);
  }
  return found[0];
}

export function press(name: string): Promise<void> {
  return act(async () => button(name).click());
}

/** Waits, while React works, until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!isSo()) {
    if (Date.now() > end) {
      throw new Error(`it did not happen: ${isSo} in ${document.body.innerHTML}`);
    }
    await act(async () => new Promise((resolve) => setTimeout(resolve, 2)));
  }
}
