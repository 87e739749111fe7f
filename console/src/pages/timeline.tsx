import type { Recipient } from "@mailserver-dev/sdk";
import { absolute, counted } from "../format.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { type Moment, type Strand, strandsOf } from "./email-words.js";

/** Of emails with more recipients than these, their histories are closed at first. */
const fewRecipients = 8;

/** What happened to an email, oldest first; with several recipients each has its own history. */
export function Timeline({ moments, recipients }: { moments: readonly Moment[]; recipients: readonly Recipient[] }) {
  if (recipients.length <= 1) {
    return <Moments of={moments} label="What happened" />;
  }
  const states = new Map<string | undefined, string>(recipients.map((r) => [r.email, r.status]));
  const order = recipients.map((r) => r.email);
  return strandsOf(moments, order).map((strand) => (
    <History
      key={strand.recipient ?? ""}
      of={strand}
      state={states.get(strand.recipient)}
      open={strand.recipient === undefined || recipients.length <= fewRecipients}
    />
  ));
}

function History({ of: { recipient, moments }, state, open }: { of: Strand; state?: string; open: boolean }) {
  const name = recipient ?? "the whole email";
  return (
    <details open={open}>
      <summary>
        {name},{" "}
        {state !== undefined && (
          <>
            <Status is={state} />,{" "}
          </>
        )}
        {counted(moments.length, "event")}
      </summary>
      <Moments of={moments} label={`What happened: ${name}`} />
    </details>
  );
}

function Moments({ of, label }: { of: readonly Moment[]; label: string }) {
  return (
    <ol className="timeline" aria-label={label}>
      {of.map((moment) => (
        <MomentItem key={moment.id} of={moment} />
      ))}
    </ol>
  );
}

function MomentItem({ of }: { of: Moment }) {
  const how = [of.host, of.tls, of.tookMs === undefined ? "" : `${of.tookMs} ms`].filter(Boolean).join(" · ");
  return (
    <li>
      <div className="quiet">
        {absolute(new Date(of.at))}, <Time at={of.at} />
      </div>
      <div>
        <Status is={of.state} /> · {of.words}
        {of.next !== undefined && <> The next attempt was set for {absolute(new Date(of.next))}.</>}
      </div>
      {of.reply !== "" && <samp>{of.reply}</samp>}
      {how !== "" && <div className="quiet">{how}</div>}
    </li>
  );
}
