import { type EmailAccepted, type EmailValidation, MailserverProblem } from "@mailserver-dev/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type ChangeEvent, useId, useMemo, useState } from "react";
import { bytes, counted } from "../format.js";
import { domains } from "../queries.js";
import { api, useSession } from "../session.js";
import { Area, Field, Form } from "../ui/field.js";
import { Sample } from "../ui/sample.js";
import { Status } from "../ui/status.js";
import { Tabs } from "../ui/tabs.js";
import { useToast } from "../ui/toast.js";
import { curl, type Draft, environment, go, requestOf, type SendRequest, typescript } from "./send-code.js";

export default function SendPage() {
  const form = useDraft();
  const send = useSend();
  const check = useMutation({ mutationFn: (request: SendRequest) => api.emails.validate(request) });
  const refused = useMemo(() => refusal(check.data), [check.data]);
  const request = useMemo(() => requestOf(form.draft), [form.draft]);
  const change = (name: keyof Draft) => (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => {
    form.set(name, event.currentTarget.value);
    check.reset();
  };
  const busy = send.isPending || check.isPending;
  return (
    <>
      <h1>Send a test</h1>
      <div className="beside">
        <section>
          <Form
            label="Send a test"
            submit="send"
            busy={busy}
            error={send.error ?? check.error ?? refused}
            onSubmit={() => {
              check.reset();
              send.mutate({ request, key: form.key });
            }}
            aside={
              <button
                type="button"
                disabled={busy}
                onClick={() => {
                  send.reset();
                  check.mutate(request);
                }}
              >
                check first
              </button>
            }
          >
            <Fields draft={form.draft} change={change} />
          </Form>
          <div role="status">
            {check.data?.valid && <Forecast forecast={check.data} />}
            {send.data && <Accepted email={send.data} />}
          </div>
        </section>
        <Code request={request} />
      </div>
    </>
  );
}

/** What is typed, with the key that names it: the same form sent twice is one email. */
function useDraft() {
  const { user } = useSession();
  const own = user?.email ?? "";
  const [form, setForm] = useState(() => ({
    draft: { from: own, to: own, cc: "", subject: "Test", text: "It works.", html: "", tag: "" } as Draft,
    key: newKey(),
  }));
  const set = (name: keyof Draft, value: string) =>
    setForm(({ draft }) => ({ draft: { ...draft, [name]: value }, key: newKey() }));
  return { ...form, set };
}

/** randomUUID is missing from pages that came over plain http. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function useSend() {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  return useMutation({
    mutationFn: ({ request, key }: { request: SendRequest; key: string }) =>
      api.emails.send(request, { idempotencyKey: key }),
    onSuccess: ({ id, recipients }) => {
      toast(`Accepted for ${counted(recipients.length, "recipient")}: ${id}`);
      void cache.invalidateQueries({ queryKey: ["emails"] });
      void navigate({ to: "/emails/$id", params: { id } });
    },
  });
}

/** What a check found, in the form of the refusal that sending would get. */
function refusal(found: EmailValidation | undefined): MailserverProblem | undefined {
  const errors = found?.problems ?? [];
  const first = errors[0];
  return first === undefined
    ? undefined
    : new MailserverProblem({
        type: `/problems/${first.code}`,
        title: "It would be refused",
        status: 422,
        code: first.code,
        detail: errors.length === 1 ? first.message : `${counted(errors.length, "finding")}:`,
        errors,
      });
}

interface FieldsProps {
  draft: Draft;
  change: (name: keyof Draft) => (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => void;
}

function Fields({ draft, change }: FieldsProps) {
  return (
    <>
      <From value={draft.from} onChange={change("from")} />
      <Field
        label="To"
        location="body.to"
        hint="Several with commas between them. Names may stand before: Alice <alice@example.test>."
        value={draft.to}
        onChange={change("to")}
        {...address}
      />
      <Field label="Cc" location="body.cc" value={draft.cc} onChange={change("cc")} {...address} />
      <Field label="Subject" location="body.subject" value={draft.subject} onChange={change("subject")} />
      <Area label="Text" location="body.text" value={draft.text} onChange={change("text")} />
      <Area
        label="HTML"
        location="body.html"
        rows={3}
        value={draft.html}
        onChange={change("html")}
        spellCheck={false}
      />
      <Field
        label="Tag"
        location="body.tags"
        hint="A label for filters, such as receipt or kind=receipt."
        value={draft.tag}
        onChange={change("tag")}
        {...address}
      />
    </>
  );
}

const address = { autoComplete: "off", autoCapitalize: "none", spellCheck: false } as const;
const suggested = 50;

/** The sender, with an address of each verified domain to choose from. */
function From({ value, onChange }: { value: string; onChange: (event: ChangeEvent<HTMLInputElement>) => void }) {
  const { user } = useSession();
  const list = useId();
  const administers = user?.role !== "user";
  const { data } = useQuery({ ...domains.all(), enabled: administers });
  const own = user?.email ?? "";
  const names = data?.filter((d) => d.status === "verified").map((d) => d.name);
  return (
    <>
      <Field
        label="From"
        location="body.from"
        hint={administers ? mayServe(names) : "Your own address."}
        value={value}
        onChange={onChange}
        list={list}
        {...address}
      />
      <datalist id={list}>
        {[...new Set([own, ...(names ?? []).slice(0, suggested).map((name) => `app@${name}`)])].map((from) => (
          <option key={from} value={from} />
        ))}
      </datalist>
    </>
  );
}

const named = 3;

function mayServe(names: readonly string[] | undefined) {
  if (names === undefined) {
    return "Any address of a verified domain.";
  }
  if (names.length === 0) {
    return (
      <>
        No domain is verified yet, so nothing can be sent. <Link to="/domains">To the domains</Link>
      </>
    );
  }
  const more = names.length > named ? ` and ${names.length - named} more` : "";
  return `Any address of ${names.slice(0, named).join(", ")}${more}.`;
}

const fates = {
  deliver_local: "filed in a mailbox here",
  send: "handed to",
  refuse: "refused",
} as const;

/** What would become of an email that can be sent. */
function Forecast({ forecast }: { forecast: EmailValidation }) {
  const signers = forecast.signed_by.map((s) => `${s.selector} (${s.algorithm})`);
  return (
    <>
      <h2>It would be accepted</h2>
      <p>
        {bytes(forecast.size_bytes)},{" "}
        {signers.length === 0
          ? "not signed: the sender's domain has no active DKIM key"
          : `signed by ${signers.join(" and ")}`}
        .
      </p>
      <ul>
        {forecast.recipients.map(({ email, would, destination, reason }) => (
          <li key={email}>
            {[`${email}: ${fates[would]}`, would === "send" && destination, reason && `(${reason})`]
              .filter(Boolean)
              .join(" ")}
          </li>
        ))}
      </ul>
    </>
  );
}

/** What was accepted; the page of the email, which follows, shows what becomes of it. */
function Accepted({ email }: { email: EmailAccepted }) {
  return (
    <>
      <h2>Accepted</h2>
      <p>
        <Link to="/emails/$id" params={{ id: email.id }}>
          <code>{email.id}</code>
        </Link>
      </p>
      <ul>
        {email.recipients.map((r) => (
          <li key={r.delivery_id}>
            {r.email}: <Status is={r.status} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** The same request for a program. */
function Code({ request }: { request: SendRequest }) {
  const makesKeys = useSession().user?.role !== "user";
  const setUp = environment(`${window.location.origin}/v1`);
  const programs = [
    { name: "curl", what: "the curl command", code: curl(request) },
    { name: "Go", what: "the Go program", code: go(request) },
    { name: "TypeScript", what: "the TypeScript program", code: typescript(request) },
  ];
  return (
    <section aria-label="The same in code">
      <h2>The same in code</h2>
      <p>
        All three take the server and{" "}
        {makesKeys ? <Link to="/api-keys/new">a key with emails:send</Link> : "an admin's key with emails:send"} from
        the environment:
      </p>
      <Sample code={setUp} what="the environment" />
      <Tabs
        label="Language"
        tabs={programs.map(({ name, what, code }) => ({ name, content: <Sample code={code} what={what} /> }))}
      />
      <p className="quiet">
        A request that carries an <code>Idempotency-Key</code> is one email, however often it is sent. The SDKs give
        each call a key of its own, or take yours.
      </p>
    </section>
  );
}
