import { MailserverUnreachable } from "@mailserver-dev/sdk";
import { act, useState } from "react";
import { expect, test, vi } from "vitest";
import { button, one, press, render } from "../testing.js";
import { Confirm } from "./dialog.js";

interface Props {
  typed?: string;
  busy?: boolean;
  error?: unknown;
  onConfirm?: () => void;
}

/** A page with a button that asks. */
function Page({ typed, busy = false, error, onConfirm = () => undefined }: Props) {
  const [asking, ask] = useState(false);
  return (
    <>
      <button type="button" onClick={() => ask(true)}>
        delete
      </button>
      {asking && (
        <Confirm
          title="Delete demo.test?"
          action="delete the domain"
          busy={busy}
          error={error}
          typed={typed}
          onConfirm={onConfirm}
          onClose={() => ask(false)}
        >
          <p>Its users go with it.</p>
        </Confirm>
      )}
    </>
  );
}

async function asked(props: Props) {
  await render(<Page {...props} />);
  button("delete").focus();
  await press("delete");
}

function type(text: string) {
  one<HTMLInputElement>("dialog input").value = text;
}

test("the question names the object and is a dialog over the page", async () => {
  await asked({});
  const dialog = one<HTMLDialogElement>("dialog");
  expect(dialog.open).toBe(true);
  expect(document.getElementById(dialog.getAttribute("aria-labelledby") ?? "")?.textContent).toBe("Delete demo.test?");
  expect(dialog.textContent).toContain("Its users go with it.");
  expect(dialog.querySelector("input")).toBeNull();
});

test("without its name typed nothing is deleted, and the focus shows where to type", async () => {
  const confirmed = vi.fn();
  await asked({ typed: "demo.test", onConfirm: confirmed });
  expect(one("dialog label").textContent).toBe("Type demo.test to go on");
  for (const text of ["", "demo", "Demo.test", "demo.test2"]) {
    type(text);
    button("delete the domain").focus();
    await press("delete the domain");
    expect(document.activeElement).toBe(one("dialog input"));
    expect(one("dialog [role=alert]").textContent).toContain("nothing was done");
  }
  expect(confirmed).not.toHaveBeenCalled();
  type(" demo.test ");
  await press("delete the domain");
  expect(confirmed).toHaveBeenCalledTimes(1);
});

test("the focus is where a key that is still held down does no harm", async () => {
  await asked({});
  expect(document.activeElement).toBe(button("keep it"));
});

test("where a name is asked for it can be typed at once", async () => {
  await asked({ typed: "demo.test" });
  expect(document.activeElement).toBe(one("dialog input"));
});

test("where no name is asked for the button is enough", async () => {
  const confirmed = vi.fn();
  await asked({ onConfirm: confirmed });
  await press("delete the domain");
  expect(confirmed).toHaveBeenCalledTimes(1);
});

test("keeping it closes the dialog and brings the focus back to where it was", async () => {
  const confirmed = vi.fn();
  await asked({ onConfirm: confirmed });
  button("delete the domain").focus();
  await press("keep it");
  expect(document.querySelector("dialog")).toBeNull();
  expect(document.activeElement).toBe(button("delete"));
  expect(confirmed).not.toHaveBeenCalled();
});

test("Escape keeps it", async () => {
  await asked({});
  await act(async () => void one("dialog").dispatchEvent(new Event("cancel")));
  expect(document.querySelector("dialog")).toBeNull();
});

test("while it works it cannot be asked for twice, and a failure is told inside", async () => {
  const confirmed = vi.fn();
  await asked({ busy: true, error: new MailserverUnreachable("no answer"), onConfirm: confirmed });
  expect(button("one moment…").disabled).toBe(true);
  await press("one moment…");
  expect(confirmed).not.toHaveBeenCalled();
  expect(one('dialog [role="alert"]').textContent).toContain("The server does not answer");
});
