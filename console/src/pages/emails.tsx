import type { Email } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { bytes } from "../format.js";
import { useLiveQueries } from "../live.js";
import { emails } from "../queries.js";
import { useSession } from "../session.js";
import { type Column, Listing } from "../ui/listing.js";
import { LiveNote } from "../ui/live.js";
import { Choice, Search } from "../ui/search.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { Address } from "./address.js";
import { DomainChoice } from "./domain-choice.js";

const route = getRouteApi("/inside/emails/");

// Every state but those that nothing comes into in this version.
const statuses = ["queued", "sending", "deferred", "held", "delivered", "bounced", "failed", "cancelled"] as const;

export default function EmailsPage() {
  const { recipient, status, domain_id } = route.useSearch();
  const filter = { recipient, domain_id, status: statuses.find((known) => known === status) };
  const query = useInfiniteQuery(emails.list(filter));
  const live = useLiveQueries({ type: ["email.*"], domain_id }, ["emails", "list"]);
  return (
    <>
      <h1>Emails</h1>
      <LiveNote live={live} />
      <Filters />
      <Listing
        caption="Emails"
        query={query}
        keyOf={(e) => e.id}
        columns={columns}
        empty={Object.values(filter).some(Boolean) ? <NoMatch /> : <NoneYet />}
      />
    </>
  );
}

/** A whole address, as the API wants it. */
const address = /^[^\s@]+@[^\s@]+$/;

function Filters() {
  const { recipient, status, domain_id } = route.useSearch();
  const navigate = route.useNavigate();
  const { user } = useSession();
  const [part, setPart] = useState(false);
  const keep = (change: { recipient?: string; status?: string; domain_id?: string }) =>
    void navigate({ search: (now) => ({ ...now, ...change }), replace: true });
  const search = (text: string | undefined) => {
    setPart(text !== undefined && !address.test(text));
    if (text === undefined || address.test(text)) {
      keep({ recipient: text });
    }
  };
  return (
    <>
      <div className="tools">
        <Search label="Recipient" value={recipient} onSearch={search} />
        <Choice label="Status" value={status} onChoose={(to) => keep({ status: to })} options={statuses} />
        {user?.role !== "user" && <DomainChoice value={domain_id} onChoose={(to) => keep({ domain_id: to })} />}
        <Link to="/send" className="button">
          send a test
        </Link>
      </div>
      <p className="hint" role="status">
        {part && "Type the whole address of a recipient: name@example.test."}
      </p>
    </>
  );
}

const columns: readonly Column<Email>[] = [
  {
    head: "Subject",
    cell: (e) => (
      <Link to="/emails/$id" params={{ id: e.id }}>
        {e.subject || "(no subject)"}
      </Link>
    ),
  },
  { head: "From", cell: (e) => <Address of={e.from} /> },
  { head: "Recipients", cell: (e) => <Address of={recipientsOf(e)} /> },
  { head: "Status", cell: (e) => <Status is={e.status} /> },
  { head: "Source", cell: (e) => (e.test ? `${e.source}, test` : e.source) },
  { head: "Size", kind: "number", cell: (e) => bytes(e.size_bytes) },
  { head: "Accepted", cell: (e) => <Time at={e.created_at} /> },
];

function recipientsOf({ recipients: [first, ...others] }: Email): string {
  return [first?.email ?? "", others.length > 0 ? `and ${others.length} more` : ""].filter(Boolean).join(" ");
}

function NoMatch() {
  return (
    <p>
      No email is like that. <Link to="/emails">Show all</Link>.
    </p>
  );
}

function NoneYet() {
  return (
    <>
      <p>
        Nothing was sent yet. <Link to="/send">Send a test</Link>, or from a shell:
      </p>
      <pre>{`curl -s ${location.origin}/v1/emails -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{"from":"app@demo.test","to":"alice@demo.test","subject":"hello","text":"it works"}'`}</pre>
    </>
  );
}
