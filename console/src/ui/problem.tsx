import { isProblem, MailserverUnreachable } from "@mailserver-dev/sdk";
import { useEffect, useState } from "react";
import { duration } from "../format.js";

/** What an error says to a person: what went wrong and what to do next. */
export interface Told {
  title: string;
  detail: string;
  requestId: string;
  /** Seconds until the same may succeed. */
  retryAfter: number | undefined;
  /** The findings by their place: "body.name". */
  fields: ReadonlyMap<string, string>;
}

export function tell(error: unknown): Told {
  const none = { requestId: "", retryAfter: undefined, fields: new Map<string, string>() };
  if (isProblem(error)) {
    const { title, errors = [] } = error.problem;
    return {
      title,
      detail: error.detail,
      requestId: error.requestId,
      retryAfter: error.retryAfter,
      fields: new Map(errors.map((e) => [e.location, e.message])),
    };
  }
  if (error instanceof MailserverUnreachable) {
    return {
      ...none,
      title: "The server does not answer",
      detail: "Look whether it runs and whether this machine is online, then try again.",
    };
  }
  return { ...none, title: "The console failed", detail: `${String(error)}. Reload the page.` };
}

/** An error in the place of what could not be shown or done. */
export function ProblemNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, detail, requestId, retryAfter, fields } = tell(error);
  const left = useCountdown(error, retryAfter);
  return (
    <div className="problem" role="alert">
      <strong>{title}</strong>
      <p>{detail}</p>
      {fields.size > 1 && (
        <ul>
          {[...fields].map(([location, message]) => (
            <li key={location}>
              {location.replace(/^(body|query|path|header)\./, "")}: {message}
            </li>
          ))}
        </ul>
      )}
      {requestId !== "" && (
        <p className="quiet">
          Request <code>{requestId}</code>, as the server's log names it.
        </p>
      )}
      {retry !== undefined && (
        <button type="button" onClick={retry} disabled={left > 0}>
          {left > 0 ? `try again in ${duration(left)}` : "try again"}
        </button>
      )}
    </div>
  );
}

/** Counts down to 0 from the seconds that the server asked for with this error. */
function useCountdown(error: unknown, seconds: number | undefined): number {
  const [left, setLeft] = useState(seconds ?? 0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same number of seconds begins anew with another error.
  useEffect(() => {
    setLeft(seconds ?? 0);
    if (seconds === undefined) {
      return undefined;
    }
    const timer = setInterval(() => setLeft((n) => Math.max(0, n - 1)), 1000);
    return () => clearInterval(timer);
  }, [error, seconds]);
  return left;
}
