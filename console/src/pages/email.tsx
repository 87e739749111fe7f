import type { Email, Recipient } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { bytes, counted, shortened } from "../format.js";
import { useLiveQueries } from "../live.js";
import { domains, emails } from "../queries.js";
import { api, useSession } from "../session.js";
import { Copy } from "../ui/copy.js";
import { Confirm } from "../ui/dialog.js";
import { type Column, Loading, Table } from "../ui/listing.js";
import { LiveNote } from "../ui/live.js";
import { ProblemNote } from "../ui/problem.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { useToast } from "../ui/toast.js";
import { Address } from "./address.js";
import { momentOf, transportWords } from "./email-words.js";
import {
  ActingProblem,
  Due,
  EntryButtons,
  Reply,
  useEntryActions,
  useQueueRefusal,
  useRetryAll,
} from "./queue-parts.js";
import { Raw } from "./raw.js";
import { Timeline } from "./timeline.js";

const route = getRouteApi("/inside/emails/$id");

/** The states of recipients who may still be sent to. */
const open: readonly string[] = ["scheduled", "held", "queued", "sending", "deferred"];

/** The ways that lead through the queue of a destination. */
const queued: readonly string[] = ["", "smtp", "relay"];

export default function EmailPage() {
  const { id } = route.useParams();
  const query = useQuery(emails.one(id));
  const live = useLiveQueries({ type: ["email.*"], subject: id }, ["emails", "one", id], ["emails", "events", id]);
  const email = query.data;
  if (email === undefined) {
    return (
      <>
        <h1>Email</h1>
        {query.isPending ? (
          <Loading what="the email" />
        ) : (
          <ProblemNote error={query.error} retry={() => void query.refetch()} />
        )}
      </>
    );
  }
  return (
    <>
      <h1>{email.subject || "(no subject)"}</h1>
      <LiveNote live={live} />
      {query.isError && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      <Facts of={email} />
      <Actions of={email} />
      <h2>Recipients</h2>
      <Recipients of={email} />
      <h2>Timeline</h2>
      <Events of={email} />
      <h2>Raw message</h2>
      <Raw id={email.id} size={email.size_bytes} />
    </>
  );
}

function Facts({ of: email }: { of: Email }) {
  const isSender = useIsSender();
  return (
    <dl className="facts">
      <dt>Status</dt>
      <dd>
        <Status is={email.status} />
      </dd>
      <dt>From</dt>
      <dd>{email.from}</dd>
      <dt>Accepted</dt>
      <dd>
        <Time at={email.created_at} />, {email.source === "api" ? "through the API" : "from a mail client"}
        {email.test && ", with a test key: it goes nowhere"}
      </dd>
      <dt>Size</dt>
      <dd>{bytes(email.size_bytes)}</dd>
      {!isSender && (
        <>
          <dt>Domain</dt>
          <dd>
            <DomainLink id={email.domain_id} />
          </dd>
        </>
      )}
      <dt>Id</dt>
      <dd>
        <code>{shortened(email.id)}</code> <Copy text={email.id} what="the id" />
      </dd>
      <dt>Message-ID</dt>
      <dd>
        <code>{email.message_id}</code> <Copy text={email.message_id} what="the Message-ID" />
      </dd>
      <Pairs name="Tags" of={email.tags.map((tag) => [tag.name, tag.value])} />
      <Pairs name="Metadata" of={Object.entries(email.metadata)} />
    </dl>
  );
}

/** Whether this person only sends: domains and the queue are out of sight then. */
function useIsSender(): boolean {
  return useSession().user?.role === "user";
}

function DomainLink({ id }: { id: string }) {
  const { data } = useQuery(domains.one(id));
  return (
    <Link to="/domains/$id" params={{ id }}>
      {data?.name ?? shortened(id)}
    </Link>
  );
}

/** Names and values, if there are any. */
function Pairs({ name, of }: { name: string; of: [name: string, value: string][] }) {
  return (
    of.length > 0 && (
      <>
        <dt>{name}</dt>
        {of.map(([key, value]) => (
          <dd key={key}>
            <code>{value === "" ? key : `${key}: ${value}`}</code>
          </dd>
        ))}
      </>
    )
  );
}

function Actions({ of: email }: { of: Email }) {
  const [asking, setAsking] = useState(false);
  const retry = useRetryAll();
  const waiting = email.recipients.filter((r) => open.includes(r.status));
  const cancellable = waiting.filter((r) => r.status !== "sending");
  const due = waiting.filter((r) => r.status === "queued" || r.status === "deferred");
  const retryRefusal = useQueueRefusal() ?? (due.length === 0 ? "Nobody waits for an attempt." : undefined);
  const cancelRefusal = cancellable.length === 0 ? "Every recipient is finished or being sent right now." : undefined;
  return (
    <>
      <p className="actions">
        <button
          type="button"
          disabled={retryRefusal !== undefined}
          title={retryRefusal}
          onClick={() => retry.isPending || retry.mutate({ email_id: email.id })}
        >
          try all now
        </button>
        <button
          type="button"
          className="danger"
          disabled={cancelRefusal !== undefined}
          title={cancelRefusal}
          onClick={() => setAsking(true)}
        >
          cancel the email
        </button>
        {cancelRefusal !== undefined && <span className="quiet">{cancelRefusal}</span>}
      </p>
      <ActingProblem acting={retry} />
      {asking && <CancelQuestion of={email} count={cancellable.length} onClose={() => setAsking(false)} />}
    </>
  );
}

function CancelQuestion({ of: email, count, onClose }: { of: Email; count: number; onClose: () => void }) {
  const cache = useQueryClient();
  const toast = useToast();
  const cancel = useMutation({
    mutationFn: () => api.emails.cancel(email.id),
    onSuccess: (left) => {
      cache.setQueryData(emails.one(email.id).queryKey, left);
      toast(`${email.subject || "The email"} is cancelled`);
      onClose();
    },
    onSettled: () => {
      void cache.invalidateQueries({ queryKey: ["emails"] });
      void cache.invalidateQueries({ queryKey: ["queue"] });
    },
  });
  return (
    <Confirm
      title={`Cancel ${email.subject || "the email"}?`}
      action="cancel the email"
      busy={cancel.isPending}
      error={cancel.error}
      onConfirm={() => cancel.mutate()}
      onClose={onClose}
    >
      <p>
        {counted(count, "recipient")} will not get it, and nobody is told. Who has it already keeps it. This cannot be
        taken back.
      </p>
    </Confirm>
  );
}

const step = 100;

function Recipients({ of: email }: { of: Email }) {
  const [most, setMost] = useState(step);
  const acting = useEntryActions();
  const shown = email.recipients.slice(0, most);
  const waits = email.recipients.some((r) => open.includes(r.status));
  const ahead: readonly Column<Recipient>[] = [
    { head: "Next attempt", cell: (r) => open.includes(r.status) && <Next of={r} /> },
    {
      head: "Actions",
      kind: "actions",
      cell: (r) =>
        open.includes(r.status) && (
          <EntryButtons of={{ id: r.delivery_id, recipient: r.email, status: r.status }} acting={acting} />
        ),
    },
  ];
  return (
    <>
      <ActingProblem acting={acting} />
      <Table
        caption="Recipients"
        columns={waits ? [...columns, ...ahead] : columns}
        rows={shown}
        keyOf={(r) => r.delivery_id}
      />
      {most < email.recipients.length && (
        <p className="actions">
          <button type="button" onClick={() => setMost(most + step)}>
            more
          </button>
        </p>
      )}
    </>
  );
}

/** Who gave the last reply: a cancellation is none of the host that was asked last. */
function answeredBy({ last_host, status }: Recipient): string {
  return status === "cancelled" ? "" : last_host;
}

/** Without TLS there was a connection in clear only if the other server took the letter; else there may have been none. */
function clear({ status }: Recipient): string {
  return status === "delivered" ? "in clear" : "";
}

const columns: readonly Column<Recipient>[] = [
  {
    head: "Address",
    cell: (r) => (
      <>
        <Address of={r.email} /> {(r.kind === "cc" || r.kind === "bcc") && <span className="quiet">{r.kind}</span>}
      </>
    ),
  },
  { head: "Status", cell: (r) => <Status is={r.status} /> },
  { head: "Attempts", kind: "number", cell: (r) => r.attempts },
  {
    head: "By",
    cell: (r) => (r.transport === "" ? <span className="quiet">not yet</span> : transportWords(r.transport)),
  },
  {
    head: "Last reply",
    cell: (r) => <Reply reply={r.last_reply} host={answeredBy(r)} more={answeredBy(r) && (r.last_tls || clear(r))} />,
  },
];

/** When a recipient has the next turn, and where that is decided. */
function Next({ of: r }: { of: Recipient }) {
  const isSender = useIsSender();
  return (
    <>
      <Due at={r.next_attempt_at} held={r.status === "held"} />
      {queued.includes(r.transport) && !isSender && (
        <div>
          <Link to="/queue/$destination" params={{ destination: r.destination }}>
            <Address of={r.destination} />
          </Link>
        </div>
      )}
    </>
  );
}

function Events({ of: email }: { of: Email }) {
  const query = useInfiniteQuery(emails.events(email.id));
  if (query.data === undefined) {
    return query.isPending ? (
      <Loading what="the timeline" />
    ) : (
      <ProblemNote error={query.error} retry={() => void query.refetch()} />
    );
  }
  const moments = query.data.pages.flatMap((page) => page.items).map(momentOf);
  return (
    <>
      {query.isError && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      <Timeline moments={moments} recipients={email.recipients} />
      {query.hasNextPage && (
        <p className="actions">
          <button type="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            what happened then
          </button>
        </p>
      )}
    </>
  );
}
