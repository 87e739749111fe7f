import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ProblemNote } from "./problem.js";

interface ConfirmProps {
  /** The question, with the name of the object. */
  title: string;
  /** What follows from it. */
  children: ReactNode;
  /** What the button does: "revoke the key". */
  action: string;
  /** What the other button does. */
  keep?: string;
  busy: boolean;
  error?: unknown;
  /** When given, this text has to be typed first. */
  typed?: string;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be taken back. It is mounted while it is open; the focus returns to where it was. */
export function Confirm({
  title,
  children,
  action,
  keep = "keep it",
  busy,
  error,
  typed,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const safe = useRef<HTMLButtonElement>(null);
  const id = useId();
  const [before] = useState(() => document.activeElement);
  useEffect(() => {
    dialog.current?.showModal();
    // A key that is still held down, or pressed twice, must not answer the question.
    (input.current ?? safe.current)?.focus();
    return () => {
      if (before instanceof HTMLElement) {
        before.focus();
      }
    };
  }, [before]);
  const [mistyped, setMistyped] = useState(false);
  const confirm = () => {
    if (typed !== undefined && input.current?.value.trim() !== typed) {
      setMistyped(true);
      input.current?.focus();
      return;
    }
    onConfirm();
  };
  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} onCancel={onClose} onClose={onClose}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
      {typed !== undefined && (
        <div className="field">
          <label htmlFor={`${id}-typed`}>
            Type <code>{typed}</code> to go on
          </label>
          <input
            id={`${id}-typed`}
            ref={input}
            autoComplete="off"
            aria-invalid={mistyped}
            aria-describedby={mistyped ? `${id}-mistyped` : undefined}
            onInput={() => setMistyped(false)}
            onKeyDown={(e) => e.key === "Enter" && !busy && confirm()}
          />
          {mistyped && (
            <p id={`${id}-mistyped`} className="finding" role="alert">
              That is not the name: nothing was done. Type it as it stands above.
            </p>
          )}
        </div>
      )}
      {Boolean(error) && <ProblemNote error={error} />}
      <p className="actions">
        <button type="button" className="danger" disabled={busy} onClick={confirm}>
          {busy ? "one moment…" : action}
        </button>
        <button ref={safe} type="button" onClick={onClose}>
          {keep}
        </button>
      </p>
    </dialog>
  );
}
