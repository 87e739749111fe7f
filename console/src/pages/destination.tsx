import { isProblem, type QueueDestination, type QueueEntry } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { counted } from "../format.js";
import { useLiveQueries } from "../live.js";
import { queue } from "../queries.js";
import { type Column, Listing, Loading } from "../ui/listing.js";
import { LiveNote } from "../ui/live.js";
import { ProblemNote } from "../ui/problem.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { Address } from "./address.js";
import { classWords } from "./email-words.js";
import {
  ActingProblem,
  DestinationButtons,
  Due,
  EntryButtons,
  Reply,
  useDestinationActions,
  useDropQuestion,
  useEntryActions,
  workersPause,
} from "./queue-parts.js";
import { failureWords, stateWords } from "./queue-words.js";

const route = getRouteApi("/inside/queue/$destination");

export default function DestinationPage() {
  const { destination: name } = route.useParams();
  const live = useLiveQueries(
    { type: ["email.*"] },
    ["queue", "destination", name],
    ["queue", "entries", { destination: name }],
  );
  return (
    <>
      <h1>{name}</h1>
      <LiveNote live={live} />
      <About name={name} />
      <h2>Waiting recipients</h2>
      <Entries name={name} />
    </>
  );
}

function About({ name }: { name: string }) {
  const query = useQuery({ ...queue.destination(name), refetchInterval: workersPause });
  const acting = useDestinationActions();
  if (isProblem(query.error, "not-found")) {
    return <p>Nothing waits for this destination any more, and nothing is known of it.</p>;
  }
  if (query.data === undefined) {
    return query.isPending ? (
      <Loading what={name} />
    ) : (
      <ProblemNote error={query.error} retry={() => void query.refetch()} />
    );
  }
  return (
    <>
      {query.isError && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      <Facts of={query.data} />
      <p className="actions">
        <DestinationButtons of={query.data} acting={acting} />
      </p>
      <ActingProblem acting={acting} />
    </>
  );
}

function Facts({ of: d }: { of: QueueDestination }) {
  const { words, until } = stateWords(d);
  return (
    <dl className="facts">
      <dt>State</dt>
      <dd>
        <Status is={d.state} />
        <div>{words}</div>
      </dd>
      {d.state === "paused" && until !== null && (
        <>
          <dt>Paused until</dt>
          <dd>
            <Time at={until} />
          </dd>
        </>
      )}
      <dt>Waiting</dt>
      <dd>
        {counted(d.queued, "recipient")} queued, {d.sending} being sent, {d.deferred} deferred, {d.held} held
      </dd>
      <dt>Oldest email</dt>
      <dd>{d.oldest_at === null ? <span className="quiet">none</span> : <Time at={d.oldest_at} />}</dd>
      <dt>Next attempt</dt>
      <dd>
        <Due at={d.next_attempt_at} held={d.state === "held"} />
      </dd>
      <dt>Failures</dt>
      <dd>{failureWords(d.failures)}</dd>
      <dt>Last reply</dt>
      <dd>
        <Reply reply={d.last_reply} host={d.last_host} />
      </dd>
      <dt>Last attempt</dt>
      <dd>
        <Time at={d.last_attempt_at} />
      </dd>
      <dt>Last worked</dt>
      <dd>
        <Time at={d.last_success_at} />
      </dd>
    </dl>
  );
}

function Entries({ name }: { name: string }) {
  const query = useInfiniteQuery({ ...queue.entries({ destination: name }), refetchInterval: workersPause });
  const { data: at } = useQuery(queue.destination(name));
  const acting = useEntryActions();
  const [question, ask] = useDropQuestion();
  return (
    <>
      <ActingProblem acting={acting} />
      <Listing
        caption="Waiting recipients"
        query={query}
        keyOf={(e) => e.id}
        columns={[
          ...columns,
          {
            head: "Next attempt",
            cell: (e) => <Due at={after(e, at)} held={e.status === "held" || at?.state === "held"} />,
          },
          {
            head: "Actions",
            kind: "actions",
            cell: (e) => <EntryButtons of={e} acting={acting} heldBack={at?.state === "held"} onDrop={ask} />,
          },
        ]}
        empty={
          <>
            <p>
              No recipient waits for this destination. Look at <Link to="/queue">the others</Link>, or from a shell:
            </p>
            <pre>mailserver queue list --destination {name}</pre>
          </>
        }
      />
      {question}
    </>
  );
}

/** When an entry has its turn: not before its destination. */
function after({ next_attempt_at }: QueueEntry, at: QueueDestination | undefined): string {
  const paused = at?.paused_until ?? "";
  return Date.parse(paused) > Date.parse(next_attempt_at) ? paused : next_attempt_at;
}

const columns: readonly Column<QueueEntry>[] = [
  { head: "Recipient", cell: (e) => <Address of={e.recipient} /> },
  {
    head: "Email",
    cell: (e) => (
      <Link to="/emails/$id" params={{ id: e.email_id }}>
        {e.subject || "(no subject)"}
      </Link>
    ),
  },
  { head: "Status", cell: (e) => <Status is={e.status} /> },
  { head: "Attempts", kind: "number", cell: (e) => e.attempts },
  { head: "Last reply", cell: (e) => <Reply reply={e.last_reply} host={e.last_host} more={classWords(e.class)} /> },
];
