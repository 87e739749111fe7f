import { useSyncExternalStore } from "react";
import { absolute, relative } from "../format.js";

const every = 5_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    // Nobody looked at the clock since the last of them left.
    now = Date.now();
  }
  listeners.add(listener);
  timer ??= setInterval(tick, every);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

function tick(): void {
  now = Date.now();
  for (const listener of listeners) {
    listener();
  }
}

/** The time to the nearest five seconds; who uses it is drawn again as it passes. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** A moment as people say it, with the exact one under the pointer. */
export function Time({ at }: { at: string | null }) {
  const moment = useNow();
  if (at === null) {
    return <span className="quiet">never</span>;
  }
  const date = new Date(at);
  // A thing that happened after the last tick did not happen in the future.
  const seen = new Date(Math.abs(date.getTime() - moment) < every ? Date.now() : moment);
  return (
    <time dateTime={at} title={absolute(date)}>
      {relative(date, seen)}
    </time>
  );
}
