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

/** In milliseconds: the second half of a double click comes before the page is drawn as busy. */
const sameClick = 50;

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
  /** Why this person cannot do it; then the button cannot be pressed. */
  unable?: string | undefined;
}

/** A form whose refusals stand beside its fields, and above them in words. */
export function Form({ label, submit, busy, error, onSubmit, children, aside, unable }: FormProps) {
  const summary = useRef<HTMLDivElement>(null);
  const last = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    if (error) {
      summary.current?.focus();
    }
  }, [error]);
  const send = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const again = event.timeStamp - last.current < sameClick;
    last.current = event.timeStamp;
    if (!busy && !again && unable === undefined) {
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
        <button type="submit" className="primary" disabled={busy || unable !== undefined} title={unable}>
          {busy ? "one moment…" : submit}
        </button>
        {unable !== undefined && <span className="quiet">{unable}</span>}
        {aside}
      </p>
    </form>
  );
}

/** What the API says about a place of the request and about what is inside it: "body.to" and "body.to[1]". */
export function useFinding(location = ""): string | undefined {
  const found = [...useContext(Findings)].flatMap(([at, message]) => {
    const [, index] = /^\[(\d+)\]/.exec(at.slice(location.length)) ?? [];
    if (location === "" || !at.startsWith(location) || (at !== location && index === undefined)) {
      return [];
    }
    return index === undefined ? message : `number ${Number(index) + 1}: ${message}`;
  });
  return found.length === 0 ? undefined : found.join("; ");
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
  const finding = useFinding(location);
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
