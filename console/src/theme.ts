import { useSyncExternalStore } from "react";
import { recall, remember } from "./store.js";

export type Theme = "auto" | "light" | "dark";

const themes: readonly Theme[] = ["auto", "light", "dark"];
const stored = "theme";
const listeners = new Set<() => void>();

function read(): Theme {
  const value = recall(stored);
  return themes.find((t) => t === value) ?? "auto";
}

/** Shows the page as the person chose; `auto` follows the system. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = read();
}

export function useTheme(): [Theme, () => void] {
  const theme = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, read);
  return [theme, () => setTheme(themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto")];
}

function setTheme(theme: Theme): void {
  remember(stored, theme);
  applyTheme();
  for (const listener of listeners) {
    listener();
  }
}

/** Calls back when the colours of the page change, by the person's choice or with the system's. Gives what ends that. */
export function onColours(changed: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", changed);
  listeners.add(changed);
  return () => {
    dark.removeEventListener("change", changed);
    listeners.delete(changed);
  };
}
