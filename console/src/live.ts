import type { Event } from "@mailserver-dev/sdk";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "./session.js";

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
export function useStream(wanted: Wanted, heard: (type: string, data: unknown) => void): Live {
  const [live, setLive] = useState<Live>({ state: "connecting", since: null });
  const latest = useRef(heard);
  latest.current = heard;
  const key = JSON.stringify(wanted);
  useEffect(() => {
    const end = new AbortController();
    void follow(JSON.parse(key) as Wanted, end.signal, setLive, (type, data) => latest.current(type, data));
    return () => end.abort();
  }, [key]);
  return live;
}

async function follow(
  wanted: Wanted,
  signal: AbortSignal,
  setLive: (next: Live) => void,
  heard: (type: string, data: unknown) => void,
): Promise<void> {
  const onState = (state: "open" | "reconnecting") =>
    setLive({ state, since: state === "open" ? null : new Date().toISOString() });
  try {
    for await (const event of api.events.stream(wanted, { signal, onState })) {
      heard(event.type, event.data);
    }
  } catch {
    // Without the stream the pages still show what they read; the session's end is told by the next request.
    if (!signal.aborted) {
      onState("reconnecting");
    }
  }
}

const gathered = 500;

/** Reads these parts of the cache anew when something of these types happens, at most twice a second. */
export function useLiveQueries(wanted: Wanted, ...parts: readonly (readonly unknown[])[]): Live {
  const cache = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useStream(wanted, () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      for (const queryKey of parts) {
        void cache.invalidateQueries({ queryKey });
      }
    }, gathered);
  });
}

export type { Event };
