import { isProblem } from "@mailserver-dev/sdk";
import { ProblemNote } from "./problem.js";

interface RefusalProps {
  error: unknown;
  /** What was to be changed: "the user". */
  what: string;
  busy: boolean;
  onReload: () => void;
  onOverwrite: () => void;
}

/** Why a change was not made. When somebody else was faster, the person decides whose change stays. */
export function Refusal({ error, what, busy, onReload, onOverwrite }: RefusalProps) {
  if (!error) {
    return null;
  }
  if (!isProblem(error, "etag-mismatch")) {
    return <ProblemNote error={error} />;
  }
  return (
    <div className="problem" role="alert">
      <strong>Changed by somebody else</strong>
      <p>
        Since this page read {what}, somebody else changed it. Reload to see how it is now and decide anew, or
        overwrite: your change is made all the same.
      </p>
      <p className="actions">
        <button type="button" disabled={busy} onClick={onReload}>
          reload
        </button>
        <button type="button" className="danger" disabled={busy} onClick={onOverwrite}>
          overwrite
        </button>
      </p>
    </div>
  );
}
