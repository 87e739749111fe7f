import type { DnsRecord } from "@mailserver-dev/sdk";

const ttl = 3600;

/** The records as lines of a zone file, as `mailserver domain dns --zone` prints them. */
export function zoneText(records: readonly DnsRecord[]): string {
  return records.map(({ name, type, zone_value }) => `${name}. ${ttl} IN ${type} ${zone_value}\n`).join("");
}

/** What a mail client is told. */
export interface ClientServer {
  what: string;
  host: string;
  port: string;
  security: string;
}

const services: Readonly<Record<string, { what: string; security: string }>> = {
  imaps: { what: "read mail (IMAP)", security: "TLS" },
  submissions: { what: "send mail (SMTP submission)", security: "TLS" },
  submission: { what: "send mail (SMTP submission), when the other port is blocked", security: "STARTTLS" },
};

/** The servers for mail clients, as the SRV records of the domain tell them (RFC 6186 §3, RFC 8314 §5.1). */
export function clientServers(records: readonly DnsRecord[]): ClientServer[] {
  return records.flatMap(({ type, purpose, value }) => {
    const service = services[purpose];
    const [, port, host] = /^\d+ \d+ (\d+) (\S+?)\.?$/.exec(value) ?? [];
    return type !== "SRV" || service === undefined || port === undefined || host === undefined
      ? []
      : [{ ...service, host, port }];
  });
}
