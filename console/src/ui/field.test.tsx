import { MailserverProblem, MailserverUnreachable, type ProblemError } from "@mailserver-dev/sdk";
import { act } from "react";
import { expect, test, vi } from "vitest";
import { button, one, render } from "../testing.js";
import { Area, Field, Form, Select, textOf } from "./field.js";
import { Group } from "./group.js";

function refusal(...errors: [string, string][]): MailserverProblem {
  const list: ProblemError[] = errors.map(([location, message]) => ({ location, message, code: "validation-failed" }));
  return new MailserverProblem({
    type: "/problems/validation-failed",
    title: "Unprocessable Entity",
    status: 422,
    code: "validation-failed",
    detail: "it is not valid",
    request_id: "req_1",
    errors: list,
  });
}

interface Props {
  error?: unknown;
  busy?: boolean;
  unable?: string;
  onSubmit?: (fields: FormData) => void;
}

function Example({ error, busy = false, unable, onSubmit = () => undefined }: Props) {
  return (
    <Form label="Add it" submit="add" busy={busy} error={error} unable={unable} onSubmit={onSubmit}>
      <Field label="Name" name="name" location="body.name" hint="A short one." defaultValue=" x " />
      <Area label="To" name="to" location="body.to" defaultValue={"a\nb"} />
      <Select label="Kind" name="kind" location="body.kind">
        <option>one</option>
      </Select>
      <Group legend="Scopes" location="body.scopes">
        <input type="checkbox" aria-label="a scope" />
      </Group>
    </Form>
  );
}

/** What a screen reader says about a field behind its name. */
function described(field: Element): string {
  const ids = field.getAttribute("aria-describedby")?.split(" ") ?? [];
  return ids.map((id) => document.getElementById(id)?.textContent).join(" ");
}

const field = (name: string) => one(`[name="${name}"]`);

test("every field has its label and its hint", async () => {
  await render(<Example />);
  expect([...document.querySelectorAll("label")].map((l) => [l.textContent, l.htmlFor])).toEqual([
    ["Name", field("name").id],
    ["To", field("to").id],
    ["Kind", field("kind").id],
  ]);
  expect(described(field("name"))).toBe("A short one.");
  expect(field("to").hasAttribute("aria-describedby")).toBe(false);
  expect(one("form").getAttribute("aria-label")).toBe("Add it");
  expect(document.querySelectorAll('[aria-invalid="true"]')).toHaveLength(0);
});

test("a refusal stands beside each field that it is about, and in words above, where the focus goes", async () => {
  const { draw } = await render(<Example />);
  await draw(<Example error={refusal(["body.name", "it is taken"], ["body.scopes", "name at least one"])} />);
  expect(described(field("name"))).toBe("A short one. it is taken");
  expect(field("name").getAttribute("aria-invalid")).toBe("true");
  expect(described(one("fieldset"))).toBe("name at least one");
  expect(field("kind").getAttribute("aria-invalid")).toBe("false");
  expect(document.activeElement).toBe(one(".summary"));
  expect(one('.summary [role="alert"]').textContent).toContain("it is not valid");
  expect([...document.querySelectorAll(".summary li")].map((li) => li.textContent)).toEqual([
    "name: it is taken",
    "scopes: name at least one",
  ]);
});

test("what is wrong inside a list is told with its number, beside the field of the list", async () => {
  await render(<Example error={refusal(["body.to[1]", "it is no address"], ["body.to[11].name", "it is too long"])} />);
  expect(described(field("to"))).toBe("number 2: it is no address; number 12: it is too long");
});

test("a place whose name only begins in the same way is another one", async () => {
  await render(<Example error={refusal(["body.together", "no"], ["body.name2[0]", "no"], ["body.named", "no"])} />);
  expect(document.querySelectorAll('[aria-invalid="true"]')).toHaveLength(0);
});

test("the focus goes to what is wrong again when the next try fails too", async () => {
  const { draw } = await render(<Example error={refusal(["body.name", "a"])} />);
  field("name").focus();
  await draw(<Example error={refusal(["body.name", "b"])} />);
  expect(document.activeElement).toBe(one(".summary"));
});

test("a server that does not answer is no finding about a field", async () => {
  await render(<Example error={new MailserverUnreachable("no answer")} />);
  expect(one('[role="alert"]').textContent).toContain("The server does not answer");
  expect(document.querySelectorAll('[aria-invalid="true"]')).toHaveLength(0);
});

test("what was typed is handed over, and the page stays", async () => {
  const submitted = vi.fn();
  await render(<Example onSubmit={submitted} />);
  await act(async () => button("add").click());
  expect(submitted).toHaveBeenCalledTimes(1);
  const fields: FormData = submitted.mock.calls[0]?.[0];
  expect(textOf(fields, "name")).toBe("x");
  expect(textOf(fields, "to")).toBe("a\nb");
  expect(textOf(fields, "absent")).toBe("");
});

test("a double click is one click", async () => {
  const submitted = vi.fn();
  await render(<Example onSubmit={submitted} />);
  await act(async () => {
    button("add").click();
    button("add").click();
  });
  expect(submitted).toHaveBeenCalledTimes(1);
});

test("nothing is sent while something is, nor by who may not", async () => {
  const submitted = vi.fn();
  const { draw } = await render(<Example onSubmit={submitted} busy />);
  expect(button("one moment…").disabled).toBe(true);
  expect(one("form").getAttribute("aria-busy")).toBe("true");
  const send = () =>
    act(async () => void one("form").dispatchEvent(new Event("submit", { bubbles: true, cancelable: true })));
  await send();
  await draw(<Example onSubmit={submitted} unable="Only the owner may." />);
  expect(button("add").disabled).toBe(true);
  expect(one("form").textContent).toContain("Only the owner may.");
  await send();
  expect(submitted).not.toHaveBeenCalled();
});
