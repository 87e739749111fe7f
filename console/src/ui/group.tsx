import { type ReactNode, useId } from "react";
import { useFinding } from "./field.js";

interface GroupProps {
  legend: string;
  /** Where the API reports on it: "body.scopes". */
  location?: string;
  hint?: ReactNode;
  children: ReactNode;
}

/** Fields that answer one question together. */
export function Group({ legend, location, hint, children }: GroupProps) {
  const id = useId();
  const finding = useFinding(location);
  const described = [hint && `${id}-hint`, finding && `${id}-finding`].filter(Boolean).join(" ");
  return (
    <fieldset aria-describedby={described || undefined}>
      <legend>{legend}</legend>
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
      {children}
    </fieldset>
  );
}

interface CheckProps {
  children: ReactNode;
  checked: boolean;
  disabled?: boolean;
  title?: string | undefined;
  onChange: (checked: boolean) => void;
}

/** A box to tick, with its words beside it. */
export function Check({ children, checked, disabled, title, onChange }: CheckProps) {
  return (
    <label className="check" title={title}>
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{children}</span>
    </label>
  );
}
