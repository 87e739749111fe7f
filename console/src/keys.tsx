import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { recall, remember } from "./store.js";

interface Section {
  to: string;
  name: string;
  key: string;
}

const soon = 1_000;

const stored = "keys";

/**
 * Listens to single keys outside of inputs: `g` and a letter goes to a section, `/` searches, `j` and `k` walk the rows, `?` tells.
 * Who speaks to the computer, or types with a tremor, can switch them off (WCAG 2.1.4). Gives the help, and what shows it.
 */
export function useKeys(sections: readonly Section[]): [help: ReactNode, show: () => void] {
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const going = useRef(0);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        recall(stored) === "off" ||
        isTyping(event.target) ||
        document.querySelector("dialog[open]")
      ) {
        return;
      }
      const section = event.timeStamp - going.current < soon && sections.find(({ key }) => key === event.key);
      going.current = event.key === "g" ? event.timeStamp : 0;
      if (section) {
        void navigate({ to: section.to });
      } else if (event.key === "?") {
        setHelp(true);
      } else if (event.key === "/") {
        document.querySelector<HTMLElement>("main input[type=search]")?.focus();
      } else if (event.key === "j" || event.key === "k") {
        walk(event.key === "j" ? 1 : -1);
      } else {
        return;
      }
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, sections]);
  return [help && <KeyHelp sections={sections} onClose={() => setHelp(false)} />, () => setHelp(true)];
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}

/** Moves the focus between the first links of the rows. */
function walk(step: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("main tbody tr")].flatMap(
    (row) => row.querySelector("a") ?? [],
  );
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
}

function KeyHelp({ sections, onClose }: { sections: readonly Section[]; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const rows = [
    ["/", "search"],
    ["j k", "next and previous row"],
    ["Enter", "open the row"],
    ...sections.map(({ key, name }) => [`g ${key}`, name] as const),
    ["?", "this help"],
  ] as const;
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <dl className="key-list">
        {rows.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input
          type="checkbox"
          defaultChecked={recall(stored) !== "off"}
          onChange={(e) => remember(stored, e.currentTarget.checked ? "on" : "off")}
        />
        <span>listen to these keys</span>
      </label>
      <p className="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          close
        </button>
      </p>
    </dialog>
  );
}
