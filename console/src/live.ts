import { isProblem, type StreamEvent } from "@mailserver-dev/sdk";
import { focusManager, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, session } from "./session.js";

/** Whether the page hears what happens; while it does not, its data is as old as `since` says. */
export interface Live {
  state: "connecting" | "open" | "reconnecting";
  since: string | null;
}

interface Wanted {
  type: string[];
  subject?: string;
  domain_id?: string;
}

/** Calls back with each event of the stream, as long as the component is there. */
export function useStream(wanted: Wanted, heard: (event: StreamEvent) => void): Live {
  const [live, setLive] = useState<Live>({ state: "connecting", since: null });
  const latest = useRef(heard);
  latest.current = heard;
  const key = JSON.stringify(wanted);
  useEffect(() => {
    const end = new AbortController();
    void follow(JSON.parse(key) as Wanted, end.signal, setLive, (event) => latest.current(event));
    return () => end.abort();
  }, [key]);
  return live;
}

async function follow(
  wanted: Wanted,
  signal: AbortSignal,
  setLive: (next: (before: Live) => Live) => void,
  heard: (event: StreamEvent) => void,
): Promise<void> {
  // However often it fails to connect again, the data is as old as the first break.
  const onState = (state: "open" | "reconnecting") =>
    setLive(({ since }) => ({ state, since: state === "open" ? null : (since ?? new Date().toISOString()) }));
  while (!signal.aborted) {
    try {
      for await (const event of api.events.stream(wanted, { signal, onState })) {
        heard(event);
      }
    } catch (e) {
      if (signal.aborted) {
        return;
      }
      if (isProblem(e) && e.status === 401) {
        // Signed out in another tab or by the server: who looks at this page may be somebody else.
        session.end();
        return;
      }
      onState("reconnecting");
    }
    await later(hopelessPause, signal);
  }
}

/** In milliseconds, after an end that the stream itself takes for final. */
const hopelessPause = 30_000;

/** Waits, and no longer than until the signal aborts. */
function later(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const pause = 500;

/**
 * Reads these parts of the cache anew when something of these types happens, at most twice a second; and when the stream has opened,
 * for what happened since they were read.
 */
export function useLiveQueries(wanted: Wanted, ...parts: readonly (readonly unknown[])[]): Live {
  const cache = useQueryClient();
  const latest = useRef(parts);
  latest.current = parts;
  const [again] = useState(() =>
    gathered(() => {
      // A page that nobody looks at only knows that it is old: it reads when it is looked at again.
      const refetchType = focusManager.isFocused() ? "active" : "none";
      return Promise.all(latest.current.map((queryKey) => cache.invalidateQueries({ queryKey, refetchType })));
    }, pause),
  );
  useEffect(() => again.stop, [again]);
  const live = useStream(wanted, again.ask);
  useEffect(() => {
    if (live.state === "open") {
      again.ask();
    }
  }, [live.state, again]);
  return live;
}

/** Reads a moment after it was asked to: once for all who asked meanwhile, and never before the last reading has ended. */
export function gathered(read: () => Promise<unknown>, pauseMs: number): { ask: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = false;
  const ask = () => {
    asked = true;
    timer ??= setTimeout(() => void run(), pauseMs);
  };
  const run = async () => {
    asked = false;
    await read().catch(() => undefined); // the queries tell of it themselves
    timer = undefined;
    if (asked) {
      ask();
    }
  };
  const stop = () => {
    clearTimeout(timer);
    timer = undefined;
    asked = false;
  };
  return { ask, stop };
}
