// What the pages about waiting mail share: the actions of people, and when something is due.

import type { QueueDestination, QueueRetried } from "@mailserver-dev/sdk";
import { type UseMutationResult, useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { counted } from "../format.js";
import { api, useSession } from "../session.js";
import { Confirm } from "../ui/dialog.js";
import { ProblemNote } from "../ui/problem.js";
import { Time, useNow } from "../ui/time.js";
import { useToast } from "../ui/toast.js";

/** How often lists of waiting mail are read anew besides: a worker that begins, or a pause that ends, is no event. */
export const workersPause = 15_000;

/** What is done to one recipient or to a destination. */
type Action = "retry" | "hold" | "release" | "drop";

interface Delivery {
  id: string;
  recipient: string;
  status: string;
}

const entryCalls: Record<Action, (id: string) => Promise<unknown>> = {
  retry: (id) => api.queue.retryEntry(id),
  hold: (id) => api.queue.holdEntry(id),
  release: (id) => api.queue.releaseEntry(id),
  drop: (id) => api.queue.dropEntry(id),
};

const destinationCalls: Record<Exclude<Action, "drop">, (name: string) => Promise<unknown>> = {
  retry: (name) => api.queue.retryDestination(name),
  hold: (name) => api.queue.holdDestination(name),
  release: (name) => api.queue.releaseDestination(name),
};

const done: Record<Action, string> = {
  retry: "is tried now",
  hold: "is held",
  release: "is released and tried now",
  drop: "is dropped from the queue",
};

type Acting<V, A = unknown> = UseMutationResult<A, Error, V>;

/** A change of the queue: it says what was done, and what the pages show is read anew. */
function useQueueChange<V, A>(change: (what: V) => Promise<A>, told: (what: V, answer: A) => string): Acting<V, A> {
  const cache = useQueryClient();
  const toast = useToast();
  return useMutation({
    mutationFn: change,
    onSuccess: (answer, what) => toast(told(what, answer)),
    onSettled: () => {
      void cache.invalidateQueries({ queryKey: ["queue"] });
      void cache.invalidateQueries({ queryKey: ["emails"] });
    },
  });
}

export type EntryActing = Acting<{ action: Action; delivery: Delivery }>;

export function useEntryActions(): EntryActing {
  return useQueueChange(
    ({ action, delivery }) => entryCalls[action](delivery.id),
    ({ action, delivery }) => `${delivery.recipient} ${done[action]}`,
  );
}

export type DestinationActing = Acting<{ action: Exclude<Action, "drop">; name: string }>;

export function useDestinationActions(): DestinationActing {
  return useQueueChange(
    ({ action, name }) => destinationCalls[action](name),
    ({ action, name }) => `${name} ${done[action]}`,
  );
}

/** Makes all waiting mail due, or that of one email. */
export function useRetryAll(): Acting<{ email_id?: string }, QueueRetried> {
  return useQueueChange(
    (which) => api.queue.retry(which),
    (_, { recipients }) => `${counted(recipients, "recipient")} made due now`,
  );
}

/** Why this person may not change the queue; undefined when they may. */
export function useQueueRefusal(): string | undefined {
  return useSession().user?.role === "user" ? "Only an owner or an admin may act on the queue." : undefined;
}

/** Why this person may not hold or release a whole destination. */
function useHoldRefusal(): string | undefined {
  return useSession().user?.role === "owner" ? undefined : "Only the owner may hold or release a destination.";
}

interface ActProps {
  /** What it is done to, for who cannot see the row. */
  to: string;
  does: string;
  refusal: string | undefined;
  danger?: boolean;
  onClick: () => void;
}

function Act({ to, does, refusal, danger = false, onClick }: ActProps) {
  return (
    <button
      type="button"
      className={danger ? "small danger" : "small"}
      aria-label={`${does}: ${to}`}
      title={refusal}
      disabled={refusal !== undefined}
      onClick={onClick}
    >
      {does}
    </button>
  );
}

const beingSent = "It is being sent right now; look again in a moment.";

/** The buttons of one recipient that waits. */
export function EntryButtons({
  of,
  acting,
  heldBack = false,
  onDrop,
}: {
  of: Delivery;
  acting: EntryActing;
  /** The destination is held, so that nothing is tried whatever the recipient's own state is. */
  heldBack?: boolean;
  /** Asks before the recipient is dropped; without it there is no such button. */
  onDrop?: (delivery: Delivery) => void;
}) {
  const refused = useQueueRefusal() ?? (of.status === "sending" ? beingSent : undefined);
  const held = of.status === "held";
  const act = (action: Action) => () => {
    if (!acting.isPending) {
      acting.mutate({ action, delivery: of });
    }
  };
  const kept = heldBack ? "The destination is held; release it first." : undefined;
  const retry = refused ?? (held ? "It is held; release it first." : kept);
  return (
    <>
      <Act does="try now" to={of.recipient} refusal={retry} onClick={act("retry")} />
      <Act
        does={held ? "release" : "hold"}
        to={of.recipient}
        refusal={refused}
        onClick={act(held ? "release" : "hold")}
      />
      {onDrop !== undefined && (
        <Act does="drop" to={of.recipient} refusal={refused} danger onClick={() => onDrop(of)} />
      )}
    </>
  );
}

/** The buttons of a destination. */
export function DestinationButtons({ of, acting }: { of: QueueDestination; acting: DestinationActing }) {
  const refused = useQueueRefusal();
  const holding = useHoldRefusal();
  const held = of.state === "held";
  const act = (action: Exclude<Action, "drop">) => () => {
    if (!acting.isPending) {
      acting.mutate({ action, name: of.name });
    }
  };
  const retry = refused ?? (held ? "It is held; release it first." : undefined);
  return (
    <>
      <Act does="try now" to={of.name} refusal={retry} onClick={act("retry")} />
      <Act does={held ? "release" : "hold"} to={of.name} refusal={holding} onClick={act(held ? "release" : "hold")} />
    </>
  );
}

/** Asks before a recipient is dropped. Gives the question, and what opens it. */
export function useDropQuestion(): [question: ReactNode, ask: (delivery: Delivery) => void] {
  const [asked, ask] = useState<Delivery>();
  return [asked && <DropQuestion key={asked.id} of={asked} onClose={() => ask(undefined)} />, ask];
}

function DropQuestion({ of, onClose }: { of: Delivery; onClose: () => void }) {
  const acting = useEntryActions();
  return (
    <Confirm
      title={`Drop ${of.recipient} from the queue?`}
      action="drop it"
      busy={acting.isPending}
      error={acting.error}
      onConfirm={() => acting.mutate({ action: "drop", delivery: of }, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>The email is not sent to this recipient any more, and nobody is told. This cannot be taken back.</p>
    </Confirm>
  );
}

/** What an action was refused with, above the list that it is in. */
export function ActingProblem({ acting }: { acting: { error: Error | null } }) {
  return acting.error !== null && <ProblemNote error={acting.error} />;
}

/** When the next attempt is made. */
export function Due({ at, held }: { at: string | null; held: boolean }) {
  const now = useNow();
  if (held) {
    return <span className="quiet">when released</span>;
  }
  if (at === null) {
    return <span className="quiet">none</span>;
  }
  return Date.parse(at) <= now ? <>due</> : <Time at={at} />;
}

/** The answer to an attempt, verbatim, and who gave it. */
export function Reply({ reply, host, more = "" }: { reply: string; host: string; more?: string }) {
  if (reply === "") {
    return <span className="quiet">none yet</span>;
  }
  const from = [host, more].filter(Boolean).join(" · ");
  return (
    <>
      <samp>{reply}</samp>
      {from !== "" && <div className="quiet">{from}</div>}
    </>
  );
}
