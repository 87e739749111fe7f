import {
  type ComponentProps,
  createContext,
  type ReactNode,
  type SubmitEvent,
  useContext,
  useEffect,
  useId,
  useRef,
} from "react";
import { ProblemNote, tell } from "./problem.js";

const Findings = createContext<ReadonlyMap<string, string>>(new Map());

interface FormProps {
  /** Names the form for who cannot see it. */
  label: string;
  /** What the button says, and what it says meanwhile. */
  submit: string;
  busy: boolean;
  /** Why the last try failed. */
  error?: unknown;
  onSubmit: (fields: FormData) => void;
  children: ReactNode;
  /** Beside the button. */
  aside?: ReactNode;
}

/** A form whose refusals stand beside its fields, and above them in words. */
export function Form({ label, submit, busy, error, onSubmit, children, aside }: FormProps) {
  const summary = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (error) {
      summary.current?.focus();
    }
  }, [error]);
  const send = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!busy) {
      onSubmit(new FormData(event.currentTarget));
    }
  };
  return (
    <form aria-label={label} onSubmit={send} aria-busy={busy}>
      <Findings.Provider value={error ? tell(error).fields : new Map()}>
        {Boolean(error) && (
          <div ref={summary} tabIndex={-1} className="summary">
            <ProblemNote error={error} />
          </div>
        )}
        {children}
      </Findings.Provider>
      <p className="actions">
        <button type="submit" className="primary" disabled={busy}>
          {busy ? "one moment…" : submit}
        </button>
        {aside}
      </p>
    </form>
  );
}

interface FrameProps {
  label: string;
  /** Where the API reports on it: "body.name". */
  location?: string;
  hint?: ReactNode;
  children: (ids: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean }) => ReactNode;
}

/** A label, what stands in it, a hint and the finding about it. */
export function Frame({ label, location, hint, children }: FrameProps) {
  const id = useId();
  const finding = useContext(Findings).get(location ?? "");
  const described = [hint && `${id}-hint`, finding && `${id}-finding`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": finding !== undefined })}
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {finding && (
        <p id={`${id}-finding`} className="finding">
          {finding}
        </p>
      )}
    </div>
  );
}

type FieldProps = Omit<FrameProps, "children"> & Omit<ComponentProps<"input">, "children">;

export function Field({ label, location, hint, ...input }: FieldProps) {
  return (
    <Frame label={label} location={location} hint={hint}>
      {(ids) => <input {...ids} {...input} />}
    </Frame>
  );
}

type AreaProps = Omit<FrameProps, "children"> & Omit<ComponentProps<"textarea">, "children">;

export function Area({ label, location, hint, ...area }: AreaProps) {
  return (
    <Frame label={label} location={location} hint={hint}>
      {(ids) => <textarea rows={6} {...ids} {...area} />}
    </Frame>
  );
}

type SelectProps = Omit<FrameProps, "children"> & ComponentProps<"select">;

export function Select({ label, location, hint, children, ...select }: SelectProps) {
  return (
    <Frame label={label} location={location} hint={hint}>
      {(ids) => (
        <select {...ids} {...select}>
          {children}
        </select>
      )}
    </Frame>
  );
}

/** The text of a field. */
export function textOf(fields: FormData, name: string): string {
  const value = fields.get(name);
  return typeof value === "string" ? value.trim() : "";
}
