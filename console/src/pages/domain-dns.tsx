import type { DkimKey, DnsRecord, Domain } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { domains } from "../queries.js";
import { Copy } from "../ui/copy.js";
import { Listing } from "../ui/listing.js";
import { Status } from "../ui/status.js";
import { zoneText } from "../zone.js";

const purposes: Readonly<Record<string, string>> = {
  mx: "Other servers bring the domain's mail here.",
  spf: "Says which servers may send for the domain.",
  dmarc: "Says what receivers do with forged mail, and where they report it.",
  imaps: "Mail clients find where to read mail.",
  submissions: "Mail clients find where to send mail.",
  submission: "Mail clients find where to send mail when the other port is blocked.",
};

export function DnsRecords({ domain }: { domain: Domain }) {
  const query = useInfiniteQuery(domains.records(domain.id));
  const keys = useInfiniteQuery(domains.keys(domain.id));
  const records = query.data?.pages.flatMap((page) => page.items) ?? [];
  const byId = new Map(keys.data?.pages.flatMap((page) => page.items.map((key) => [key.id, key])));
  const zone = zoneText(records);
  return (
    <section aria-label="DNS records">
      <h2>DNS records</h2>
      <p>
        Publish these at the provider of the domain's DNS. Without a required record mail suffers; the others make it
        easier. What the name servers show now is not compared here.
      </p>
      <p className="actions">
        <Copy text={zone} what="all records as a zone file">
          copy all
        </Copy>
        <span className="quiet">
          as lines of a zone file, as <code>mailserver domain dns {domain.name} --zone</code> prints them
        </span>
      </p>
      <Listing
        caption={`DNS records of ${domain.name}`}
        query={query}
        keyOf={({ type, name, value }) => `${type} ${name} ${value}`}
        columns={[
          { head: "Type", cell: (r) => <code>{r.type}</code> },
          {
            head: "Name",
            cell: (r) => (
              <>
                <code className="name">{r.name}</code>{" "}
                <Copy text={r.name} what={`the name ${r.name} of the ${r.purpose} record`}>
                  copy name
                </Copy>
              </>
            ),
          },
          {
            head: "Value",
            cell: (r) => (
              <>
                <code>{r.value}</code>{" "}
                <Copy text={r.value} what={`the value of the ${r.type} record ${r.name}`}>
                  copy value
                </Copy>
              </>
            ),
          },
          {
            head: "For",
            cell: (r) => (
              <>
                <strong>{r.required ? "required" : "recommended"}</strong>.{" "}
                <Purpose record={r} dkimKey={byId.get(r.dkim_key_id ?? "")} />
              </>
            ),
          },
        ]}
        empty={<p>The server names no record for this domain.</p>}
      />
    </section>
  );
}

function Purpose({ record, dkimKey }: { record: DnsRecord; dkimKey: DkimKey | undefined }) {
  if (record.purpose !== "dkim") {
    return <>{purposes[record.purpose] ?? record.purpose}</>;
  }
  if (dkimKey?.state === "revoked") {
    return (
      <>
        Says that this DKIM key is void. <Status is="revoked" />
      </>
    );
  }
  return <>Receivers check signatures with this DKIM key. {dkimKey && <Status is={dkimKey.state} />}</>;
}
