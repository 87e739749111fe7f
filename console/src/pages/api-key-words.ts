// What an API key is and how long, in words and moments.

import type { ApiKey } from "@mailserver-dev/sdk";
import { oneOf } from "../match.js";

export type KeyState = "active" | "expired" | "revoked";

/** `now` is in milliseconds since 1970. */
export function stateOf(key: Pick<ApiKey, "expires_at" | "revoked_at">, now: number): KeyState {
  if (key.revoked_at !== null) {
    return "revoked";
  }
  return key.expires_at !== null && Date.parse(key.expires_at) <= now ? "expired" : "active";
}

export const terms = ["never", "30 days", "90 days", "1 year", "date"] as const;
export type Term = (typeof terms)[number];

const days = { "30 days": 30, "90 days": 90, "1 year": 365 } as const;
const day = 86_400_000;

export function termOf(text: string): Term {
  return oneOf(terms, text) ?? "never";
}

/** When a key ends that is made now: undefined for never, and for a date that is none. A date counts to its end. */
export function expiryOf(term: Term, date: string, now: Date): Date | undefined {
  if (term === "never") {
    return undefined;
  }
  const at = term === "date" ? new Date(`${date}T23:59:59Z`) : new Date(now.getTime() + days[term] * day);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** Lines that are not empty. */
export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
