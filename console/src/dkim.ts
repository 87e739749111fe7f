import type { DkimKey } from "@mailserver-dev/sdk";
import { absolute } from "./format.js";

/** What can be done to a key: a state that it gets, or its end. */
export type Step = "active" | "retiring" | "revoked" | "deleted";

/** Why a key cannot make a step; undefined when it can. */
export function whyNot(key: Pick<DkimKey, "state" | "activated_at">, step: Step): string | undefined {
  switch (step) {
    case "active":
      return key.state === "pending" || key.state === "retiring" ? undefined : `It is ${key.state} already.`;
    case "retiring":
      return key.state === "active" ? undefined : "Only an active key retires.";
    case "revoked":
      return key.state === "revoked" ? "It is revoked already." : undefined;
    case "deleted":
      return key.state === "revoked" || key.activated_at === null
        ? undefined
        : "Mail was signed with it: revoke it first.";
  }
}

/** Days that the record of a key stays after its last signature, for mail that is still on its way. */
const staysFor = 7;

/** The day until which the record of a key is kept that retired then: "2026-12-02". */
export function keptUntil(retired: string): string {
  const day = new Date(retired);
  day.setUTCDate(day.getUTCDate() + staysFor);
  return absolute(day).slice(0, 10);
}
