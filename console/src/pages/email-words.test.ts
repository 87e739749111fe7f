import { readFileSync } from "node:fs";
import type { Event } from "@mailserver-dev/sdk";
import { describe, expect, it } from "vitest";
import { classWords, momentOf, strandsOf } from "./email-words.js";

function event(type: string, data: Event["data"] = {}): Event {
  return { id: "evt_1", at: "2026-11-25T15:00:00Z", type, subject: "eml_1", domain_id: "dom_1", user_id: null, data };
}

const attempt = {
  delivery_id: "dlv_1",
  recipient: "bob@elsewhere.test",
  transport: "smtp",
  reply: "451 4.7.1 come back later",
  attempt: 2,
  host: "mx1.elsewhere.test",
  tls: "TLS1.3",
  took_ms: 139,
  class: "greylist",
};
const byHand = { delivery_id: "dlv_1", recipient: "bob@elsewhere.test" };

describe("the words of each event of an email", () => {
  const cases: [what: string, type: string, data: Event["data"], words: string][] = [
    [
      "an email from the API",
      "email.accepted",
      { from: "app@demo.test", recipients: ["a@b.test"], recipient_count: 1, size: 268, source: "api" },
      "Accepted from app@demo.test through the API: 1 recipient, 268 bytes.",
    ],
    [
      "an email from a mail client to more than are named",
      "email.accepted",
      { from: "app@demo.test", recipients: ["a@b.test"], recipient_count: 1200, size: 2048, source: "submission" },
      "Accepted from app@demo.test from a mail client: 1,200 recipients, 2.0 KiB.",
    ],
    [
      "an email of the null sender",
      "email.accepted",
      { from: "", recipients: ["a@b.test"], recipient_count: 1, size: 2, source: "api" },
      "Accepted from the null sender through the API: 1 recipient, 2 bytes.",
    ],
    [
      "a first attempt that succeeded",
      "email.delivered",
      { ...attempt, attempt: 1, reply: "250 2.0.0 ok" },
      "Delivered: the recipient's server has it.",
    ],
    ["a later one", "email.delivered", attempt, "Delivered: the recipient's server has it, at attempt 2."],
    [
      "a smart host",
      "email.delivered",
      { ...attempt, attempt: 1, transport: "relay" },
      "Delivered: the smart host has it.",
    ],
    [
      "a mailbox here",
      "email.delivered",
      { ...byHand, attempt: 1, transport: "local", reply: "250 2.0.0 filed" },
      "Delivered: filed in the mailbox here.",
    ],
    [
      "the sink",
      "email.delivered",
      { ...byHand, attempt: 1, transport: "sink" },
      "Kept by the sink: this server sends nothing out.",
    ],
    [
      "the test network",
      "email.delivered",
      { ...byHand, attempt: 1, transport: "test" },
      "Accepted by the test network: it went nowhere.",
    ],
    [
      "an attempt that is repeated",
      "email.deferred",
      attempt,
      "Attempt 2 did not succeed: the other server asks new senders to come back later.",
    ],
    ["one of no known class", "email.deferred", { ...attempt, class: "other" }, "Attempt 2 did not succeed."],
    [
      "one whose answer was lost",
      "email.deferred",
      { ...attempt, class: "network", possible_duplicate: true },
      "Attempt 2 did not succeed: there was no connection, or it was lost. The answer was lost after the letter was sent: the next attempt may deliver a second copy.",
    ],
    ["a retry by a person", "email.retried", byHand, "Made due now by hand."],
    ["the end of a hold", "email.released", byHand, "Released by hand, and due now."],
    [
      "a refusal",
      "email.bounced",
      { ...attempt, class: "hard_recipient" },
      "Refused for good: the address takes no mail.",
    ],
    ["a refusal by this server", "email.bounced", { ...byHand, attempt: 1, transport: "local" }, "Refused for good."],
    ["the last attempt", "email.failed", { ...attempt, attempt: 13 }, "Given up after 13 attempts: its time was over."],
    [
      "a letter that never had its turn",
      "email.failed",
      { ...byHand, attempt: 0, transport: "" },
      "Given up without an attempt: its time was over.",
    ],
    ["a hold", "email.held", byHand, "Held by hand, until it is released."],
    ["a cancellation", "email.cancelled", byHand, "Taken out of the queue by hand."],
    [
      "a report",
      "email.reported",
      { to: "alice@demo.test", recipients: ["a@b.test", "c@b.test"] },
      "The sender was told in the mailbox of alice@demo.test, about a@b.test, c@b.test.",
    ],
    [
      "a report about many",
      "email.reported",
      { to: "alice@demo.test", recipients: ["a@b", "b@b", "c@b", "d@b"] },
      "The sender was told in the mailbox of alice@demo.test, about 4 recipients.",
    ],
    ["a type that is newer than the page", "email.translated", byHand, "email.translated."],
  ];
  it.each(cases)("%s", (_, type, data, words) => {
    expect(momentOf(event(type, data)).words).toBe(words);
  });

  it("are there for every type that the server has", () => {
    const source = readFileSync(`${process.cwd()}/../server/event/event.go`, "utf8");
    const types = [...source.matchAll(/= "(email\.[a-z_]+)"/g)].map(([, type]) => type ?? "");
    expect(types).toContain("email.delivered");
    for (const type of types) {
      expect(momentOf(event(type)).words, type).not.toBe(`${type}.`);
    }
  });

  it("stand whatever the data is", () => {
    for (const data of [
      {},
      { attempt: "2", recipients: "x", size: null, reply: 5, next_attempt_at: "soon", tls: [] },
    ]) {
      for (const type of ["email.accepted", "email.delivered", "email.deferred", "email.failed", "email.reported"]) {
        const moment = momentOf(event(type, data));
        expect(moment.words).not.toMatch(/undefined|NaN|null,|object/);
        expect(moment.next).toBeUndefined();
      }
    }
  });
});

describe("what stands beside the words", () => {
  it("is what the server wrote, verbatim", () => {
    const data = { ...attempt, next_attempt_at: "2026-11-25T15:20:00Z" };
    expect(momentOf(event("email.deferred", data))).toMatchObject({
      state: "deferred",
      recipient: "bob@elsewhere.test",
      reply: "451 4.7.1 come back later",
      host: "mx1.elsewhere.test",
      tls: "TLS1.3",
      tookMs: 139,
      next: "2026-11-25T15:20:00Z",
    });
  });

  it("calls a connection without TLS one in clear, and none nothing", () => {
    expect(momentOf(event("email.delivered", { ...attempt, tls: "", class: undefined })).tls).toBe("in clear");
    expect(momentOf(event("email.deferred", { ...attempt, tls: "", class: "network" })).tls).toBe("");
    expect(momentOf(event("email.delivered", { ...byHand, transport: "local" })).tls).toBe("");
  });

  it("names no class that has no words", () => {
    expect(classWords("other")).toBe("");
    expect(classWords("brand_new")).toBe("");
  });
});

describe("the histories of several recipients", () => {
  const moments = [
    event("email.accepted"),
    event("email.delivered", { recipient: "b@x.test" }),
    event("email.deferred", { recipient: "a@x.test", attempt: 1 }),
    event("email.reported", { to: "me@demo.test" }),
    event("email.delivered", { recipient: "a@x.test" }),
  ].map(momentOf);

  it("stand in the order of the recipients, after what concerns all, each oldest first", () => {
    const strands = strandsOf(moments, ["a@x.test", "b@x.test", "c@x.test"]);
    expect(strands.map(({ recipient, moments }) => [recipient, moments.map((m) => m.state)])).toEqual([
      [undefined, ["accepted", "reported"]],
      ["a@x.test", ["deferred", "delivered"]],
      ["b@x.test", ["delivered"]],
    ]);
  });

  it("lose no event of a recipient who is not among them", () => {
    expect(strandsOf(moments, []).map((s) => s.recipient)).toEqual([undefined, "b@x.test", "a@x.test"]);
  });
});
