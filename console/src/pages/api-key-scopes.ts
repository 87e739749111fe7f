// The rights of API keys, as people choose them.

import type { ApiKeyCreate } from "@mailserver-dev/sdk";

export type Scope = ApiKeyCreate["scopes"][number];

/** What each right allows. The compiler knows when the contract has one that is missing here. */
export const allows = {
  "domains:read": "List and read domains.",
  "domains:write": "Create, change and delete domains.",
  "dkim:read": "List and read DKIM keys, without their private parts.",
  "dkim:write": "Create, import, activate, retire, revoke and delete DKIM keys.",
  "dkim:export": "Read private DKIM keys.",
  "users:read": "List and read users.",
  "users:write": "Create, change and delete users and set their passwords.",
  "api-keys:read": "List and read API keys, without their secrets.",
  "api-keys:write": "Create and revoke API keys with at most the own rights.",
  "emails:send": "Send email from the key's domains.",
  "emails:read": "List and read sent email and its events.",
  "messages:read": "List messages in mailboxes and read their metadata.",
  "messages:write": "Change flags of, move and delete messages.",
  "messages:content": "Read bodies, parts and raw bytes of messages.",
  "mailboxes:read": "List and read mailboxes.",
  "mailboxes:write": "Create, rename and delete mailboxes.",
  "events:read": "Read the ledger of events.",
  "audit:read": "Read the audit log.",
  "stats:read": "See how the server does: counts, gauges and what waits.",
  "queue:read": "See the mail that waits and where it goes.",
  "queue:write": "Retry, hold, release and drop mail that waits.",
  "sink:read": "Read what the built-in sink kept instead of sending.",
  "operations:read": "Watch long-running work.",
  "metrics:read": "Read the server's metrics.",
  "health:read": "Read the server's health in detail.",
} satisfies Record<Scope, string>;

/** All rights, in the order of the contract. */
export const scopes = Object.keys(allows) as Scope[];

/** Rights over the whole server, and over secrets that only the owner reads. */
const ownersOnly: ReadonlySet<Scope> = new Set(["dkim:export", "metrics:read", "health:read"]);

/** Whether a person may give this right to a key. */
export function mayGrant(role: string | undefined, scope: Scope): boolean {
  return role === "owner" || !ownersOnly.has(scope);
}

/** The rights over one kind of object: a line of the table. */
export interface Resource {
  name: string;
  read: Scope | undefined;
  write: Scope | undefined;
  more: Scope[];
}

export function resources(): Resource[] {
  const names = [...new Set(scopes.map((scope) => scope.split(":", 1)[0] ?? ""))];
  return names.map((name) => {
    const own = scopes.filter((scope) => scope.startsWith(`${name}:`));
    const read = own.find((scope) => scope === `${name}:read`);
    const write = own.find((scope) => scope === `${name}:write`);
    return { name, read, write, more: own.filter((scope) => scope !== read && scope !== write) };
  });
}

/** The right that includes this one: who may write may read. */
export function includedBy(scope: Scope, chosen: ReadonlySet<Scope>): Scope | undefined {
  const [name, what] = scope.split(":");
  return what === "read" ? scopes.find((other) => other === `${name}:write` && chosen.has(other)) : undefined;
}

/** The chosen rights with those that they include, in the order of the contract. */
export function complete(chosen: ReadonlySet<Scope>): Scope[] {
  return scopes.filter((scope) => chosen.has(scope) || includedBy(scope, chosen) !== undefined);
}

const provisioned = ["domains:write", "dkim:write", "users:write", "operations:read"] as const satisfies Scope[];

/** Usual choices. `of` gives their rights. */
export const presets: readonly { name: string; of: readonly Scope[] }[] = [
  { name: "send only", of: ["emails:send"] },
  { name: "CI provisioning", of: complete(new Set(provisioned)) },
  { name: "read only", of: scopes.filter((scope) => scope.endsWith(":read")) },
  { name: "everything", of: scopes },
];
