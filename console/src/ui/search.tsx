import { type ReactNode, useEffect, useId, useRef } from "react";

const typedFor = 300;

interface SearchProps {
  label: string;
  value: string | undefined;
  /** Called when the typing has paused; undefined for no restriction. */
  onSearch: (value: string | undefined) => void;
}

/** A filter by text. */
export function Search({ label, value, onSearch }: SearchProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const searched = useRef(value);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    // The address changed otherwise: by a link, or back and forth.
    if (input.current !== null && value !== searched.current) {
      input.current.value = value ?? "";
      searched.current = value;
    }
  }, [value]);
  const search = (text: string | undefined) => {
    searched.current = text;
    onSearch(text);
  };
  const onInput = (text: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => search(text.trim() || undefined), typedFor);
  };
  return (
    <div className="search">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        ref={input}
        type="search"
        defaultValue={value}
        autoComplete="off"
        onInput={(e) => onInput(e.currentTarget.value)}
      />
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  onChoose: (value: string | undefined) => void;
  /** The words to choose from; the empty choice is there already. */
  options: readonly string[];
  /** What the empty choice is called. */
  any?: string;
  children?: ReactNode;
}

/** A filter by one of a few words. */
export function Choice({ label, value, onChoose, options, any = "any", children }: ChoiceProps) {
  const id = useId();
  return (
    <div className="search">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value ?? ""} onChange={(e) => onChoose(e.currentTarget.value || undefined)}>
        <option value="">{any}</option>
        {options.map((word) => (
          <option key={word}>{word}</option>
        ))}
        {children}
      </select>
    </div>
  );
}
