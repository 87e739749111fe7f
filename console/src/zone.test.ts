import type { DnsRecord } from "@mailserver-dev/sdk";
import { expect, it } from "vitest";
import { clientServers, zoneText } from "./zone.js";

function record(of: Partial<DnsRecord>): DnsRecord {
  return {
    type: "TXT",
    name: "a.test",
    value: "x",
    zone_value: '"x"',
    purpose: "spf",
    required: true,
    dkim_key_id: null,
    ...of,
  };
}

it("writes lines that a name server loads", () => {
  const mx = record({ type: "MX", value: "10 mx.a.test.", zone_value: "10 mx.a.test." });
  expect(zoneText([mx, record({})])).toBe('a.test. 3600 IN MX 10 mx.a.test.\na.test. 3600 IN TXT "x"\n');
});

it("tells a client host and port from the SRV records alone", () => {
  const imaps = record({ type: "SRV", purpose: "imaps", value: "0 1 993 mx.a.test." });
  const submission = record({ type: "SRV", purpose: "submission", value: "10 1 587 mx.a.test." });
  const found = clientServers([
    record({}),
    imaps,
    submission,
    { ...imaps, purpose: "later" },
    { ...imaps, value: "odd" },
  ]);
  expect(found.map(({ host, port, security }) => `${host}:${port} ${security}`)).toEqual([
    "mx.a.test:993 TLS",
    "mx.a.test:587 STARTTLS",
  ]);
});
