import type { QueueDestination } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { number } from "../format.js";
import { useLiveQueries } from "../live.js";
import { queue } from "../queries.js";
import { type Column, Listing } from "../ui/listing.js";
import { LiveNote } from "../ui/live.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { Address } from "./address.js";
import {
  ActingProblem,
  DestinationButtons,
  Due,
  Reply,
  useDestinationActions,
  useQueueRefusal,
  useRetryAll,
  workersPause,
} from "./queue-parts.js";

export default function QueuePage() {
  const query = useInfiniteQuery({ ...queue.destinations(), refetchInterval: workersPause });
  const live = useLiveQueries({ type: ["email.*"] }, ["queue", "destinations"]);
  const acting = useDestinationActions();
  const retry = useRetryAll();
  const refusal = useQueueRefusal();
  return (
    <>
      <h1>Queue</h1>
      <LiveNote live={live} />
      <p className="quiet">What waits to be sent, by where it goes.</p>
      <p className="actions">
        <button
          type="button"
          disabled={refusal !== undefined}
          title={refusal}
          onClick={() => retry.isPending || retry.mutate({})}
        >
          try everything now
        </button>
        <span className="quiet">What is held stays held, and who is paused stays paused.</span>
      </p>
      <ActingProblem acting={retry} />
      <ActingProblem acting={acting} />
      <Listing
        caption="Destinations"
        query={query}
        keyOf={(d) => d.name}
        columns={[
          ...columns,
          { head: "Actions", kind: "actions", cell: (d) => <DestinationButtons of={d} acting={acting} /> },
        ]}
        empty={<Empty />}
      />
    </>
  );
}

const columns: readonly Column<QueueDestination>[] = [
  {
    head: "Destination",
    cell: (d) => (
      <Link to="/queue/$destination" params={{ destination: d.name }}>
        <Address of={d.name} />
      </Link>
    ),
  },
  { head: "State", cell: (d) => <Status is={d.state} /> },
  { head: "Queued", kind: "number", cell: (d) => number(d.queued) },
  { head: "Sending", kind: "number", cell: (d) => number(d.sending) },
  { head: "Deferred", kind: "number", cell: (d) => number(d.deferred) },
  { head: "Held", kind: "number", cell: (d) => number(d.held) },
  {
    head: "Oldest",
    cell: (d) => (d.oldest_at === null ? <span className="quiet">none</span> : <Time at={d.oldest_at} />),
  },
  { head: "Next attempt", cell: (d) => <Due at={d.next_attempt_at} held={d.state === "held"} /> },
  { head: "Failures", kind: "number", cell: (d) => number(d.failures) },
  { head: "Last reply", cell: (d) => <Reply reply={d.last_reply} host={d.last_host} /> },
];

function Empty() {
  return (
    <>
      <p>
        Nothing waits. What was sent stands among the <Link to="/emails">emails</Link>. The same from a shell:
      </p>
      <pre>mailserver queue destinations</pre>
    </>
  );
}
