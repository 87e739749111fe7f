// What the ledger says about an email, in words. The fields of `data` are those that the server writes for each type.

import type { Event } from "@mailserver-dev/sdk";
import { bytes, counted } from "../format.js";

/** One event of an email as a person reads it. */
export interface Moment {
  id: string;
  at: string;
  /** What happened in a word, mostly the state that it brought: "deferred". */
  state: string;
  words: string;
  /** Whom it is about; undefined for the whole email. */
  recipient: string | undefined;
  /** The answer, verbatim. */
  reply: string;
  /** Who gave it. */
  host: string;
  /** How the connection was kept private: "TLS1.3", or "in clear". Empty when there was none, or nothing is known of it. */
  tls: string;
  tookMs: number | undefined;
  /** When the next attempt is due. */
  next: string | undefined;
}

/** The classes of results of our own, for which no other server need have been reached. */
const unreached: ReadonlySet<string> = new Set(["network", "tls", "routing", "own"]);

export function momentOf({ id, at, type, data }: Event): Moment {
  const host = text(data, "host");
  const next = text(data, "next_attempt_at");
  return {
    id,
    at,
    state: type.replace(/^email\./, ""),
    words: wordsOf(type, data),
    recipient: text(data, "recipient") || undefined,
    reply: text(data, "reply"),
    host,
    tls: text(data, "tls") || (host !== "" && !unreached.has(text(data, "class")) ? "in clear" : ""),
    tookMs: whole(data, "took_ms"),
    next: next === "" || Number.isNaN(Date.parse(next)) ? undefined : next,
  };
}

type Data = Event["data"];

function wordsOf(type: string, data: Data): string {
  switch (type) {
    case "email.accepted":
      return accepted(data);
    case "email.delivered":
      return delivered(data);
    case "email.deferred":
      return deferred(data);
    case "email.bounced":
      return sentence("Refused for good", classWords(text(data, "class")));
    case "email.failed":
      return failed(data);
    case "email.held":
      return "Held by hand, until it is released.";
    case "email.retried":
      return "Made due now by hand.";
    case "email.released":
      return "Released by hand, and due now.";
    case "email.queued":
      return "Waits to be sent.";
    case "email.cancelled":
      return "Taken out of the queue by hand.";
    case "email.reported":
      return reported(data);
    default:
      return `${type}.`;
  }
}

function accepted(data: Data): string {
  const size = whole(data, "size");
  const sources: Record<string, string> = { api: "through the API", submission: "from a mail client" };
  const how = sources[text(data, "source")] ?? "";
  const count = whole(data, "recipient_count") ?? names(data, "recipients").length;
  const what = [counted(count, "recipient"), size === undefined ? "" : bytes(size)].filter(Boolean).join(", ");
  return `${["Accepted from", text(data, "from") || "the null sender", how].filter(Boolean).join(" ")}: ${what}.`;
}

const arrivals: Record<string, string> = {
  smtp: "Delivered: the recipient's server has it",
  relay: "Delivered: the smart host has it",
  local: "Delivered: filed in the mailbox here",
  sink: "Kept by the sink: this server sends nothing out",
  test: "Accepted by the test network: it went nowhere",
};

function delivered(data: Data): string {
  const attempt = whole(data, "attempt") ?? 1;
  const words = arrivals[text(data, "transport")] ?? "Delivered";
  return attempt > 1 ? `${words}, at attempt ${attempt}.` : `${words}.`;
}

function deferred(data: Data): string {
  const words = sentence(`Attempt ${whole(data, "attempt") ?? 1} did not succeed`, classWords(text(data, "class")));
  return data.possible_duplicate === true
    ? `${words} The answer was lost after the letter was sent: the next attempt may deliver a second copy.`
    : words;
}

function failed(data: Data): string {
  const attempts = whole(data, "attempt") ?? 0;
  return attempts === 0
    ? "Given up without an attempt: its time was over."
    : `Given up after ${counted(attempts, "attempt")}: its time was over.`;
}

function reported(data: Data): string {
  const about = names(data, "recipients");
  const whom = about.length > 3 ? counted(about.length, "recipient") : about.join(", ");
  return `The sender was told in the mailbox of ${text(data, "to")}${whom === "" ? "" : `, about ${whom}`}.`;
}

const classes: Record<string, string> = {
  hard_recipient: "the address takes no mail",
  quota: "the mailbox is full",
  message: "the other server does not take this message",
  reputation: "our address or domain is on a list",
  greylist: "the other server asks new senders to come back later",
  throttle: "too much or too fast for the other server",
  configuration: "our DNS, keys or credentials are wrong",
  network: "there was no connection, or it was lost",
  tls: "there is no TLS where there must be",
  routing: "there is no host to go to",
  own: "the trouble is ours and says nothing about the recipient",
};

/** What kind of answer it was; nothing for `other` and for kinds that are newer than this page. */
export function classWords(kind: string): string {
  return classes[kind] ?? "";
}

const transports: Record<string, string> = {
  smtp: "mail exchanger",
  relay: "smart host",
  local: "mailbox here",
  sink: "sink",
  test: "test network",
};

/** How a recipient's mail went. */
export function transportWords(transport: string): string {
  return transports[transport] ?? transport;
}

function sentence(words: string, why: string): string {
  return why === "" ? `${words}.` : `${words}: ${why}.`;
}

function text(data: Data, name: string): string {
  const value = data[name];
  return typeof value === "string" ? value : "";
}

function whole(data: Data, name: string): number | undefined {
  const value = data[name];
  return typeof value === "number" ? value : undefined;
}

function names(data: Data, name: string): string[] {
  const value = data[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** The moments of one recipient, or of the whole email where there is no address. */
export interface Strand {
  recipient: string | undefined;
  moments: Moment[];
}

/** Puts moments together by recipient, in this order of addresses; the email's own come first, and who is not in the order last. */
export function strandsOf(moments: readonly Moment[], order: readonly string[]): Strand[] {
  const strands = new Map<string | undefined, Moment[]>([undefined, ...order].map((recipient) => [recipient, []]));
  for (const moment of moments) {
    const strand = strands.get(moment.recipient);
    if (strand === undefined) {
      strands.set(moment.recipient, [moment]);
    } else {
      strand.push(moment);
    }
  }
  return [...strands].map(([recipient, list]) => ({ recipient, moments: list })).filter((s) => s.moments.length > 0);
}
