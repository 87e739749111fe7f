import type { QueueDestination } from "@mailserver-dev/sdk";
import { counted } from "../format.js";

/** So many failures in a row open a destination's breaker. */
const breakerOpensAt = 5;

/** What a destination's state means; `until` is the moment that belongs to it. */
export function stateWords(d: QueueDestination): { words: string; until: string | null } {
  switch (d.state) {
    case "held":
      return { words: "Held by hand: nothing is sent there, nor what comes later, until it is released.", until: null };
    case "sending":
      return { words: "A worker is sending there right now.", until: null };
    case "paused":
      return { words: pausedWords(d), until: d.paused_until };
    case "waiting":
      return { words: "Mail waits for its next attempt.", until: d.next_attempt_at };
    case "idle":
      return { words: "Nothing waits that could be sent.", until: null };
    default:
      return { words: "", until: null };
  }
}

function pausedWords({ failures }: QueueDestination): string {
  return failures >= breakerOpensAt
    ? `The breaker is open: ${counted(failures, "connection")} in a row failed. Nothing is sent before the time below; then one letter is the probe, and its success opens the way for the others.`
    : "The other server asked to be left alone for a while. Nothing is sent before the time below.";
}

/** What failures in a row mean for the breaker. */
export function failureWords(failures: number): string {
  if (failures === 0) {
    return "none in a row";
  }
  const left = breakerOpensAt - failures;
  return left > 0 ? `${failures} in a row; ${left} more open the breaker` : `${failures} in a row; the breaker is open`;
}
