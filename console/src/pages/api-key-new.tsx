import type { ApiKeyCreate, ApiKeyCreated, Domain } from "@mailserver-dev/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { type Dispatch, type SetStateAction, useEffect, useRef, useState } from "react";
import { absolute, counted } from "../format.js";
import { domains } from "../queries.js";
import { api, useSession } from "../session.js";
import { Confirm } from "../ui/dialog.js";
import { Area, Field, Form, Select, textOf } from "../ui/field.js";
import { Check, Group } from "../ui/group.js";
import { Loading, Table } from "../ui/listing.js";
import { ProblemNote } from "../ui/problem.js";
import { Sample } from "../ui/sample.js";
import { useToast } from "../ui/toast.js";
import {
  allows,
  complete,
  includedBy,
  mayGrant,
  presets,
  type Resource,
  resources,
  type Scope,
  scopes,
} from "./api-key-scopes.js";
import { expiryOf, linesOf, type Term, termOf, terms } from "./api-key-words.js";
import { environment } from "./send-code.js";

export default function ApiKeyNewPage() {
  const create = useCreate();
  return (
    <>
      <h1>Create a key</h1>
      {create.data === undefined ? (
        <KeyForm busy={create.isPending} error={create.error} onCreate={create.mutate} />
      ) : (
        <Created apiKey={create.data} />
      )}
    </>
  );
}

function useCreate() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (body: ApiKeyCreate) => api.apiKeys.create(body),
    onSettled: () => cache.invalidateQueries({ queryKey: ["apiKeys"] }),
    // The key is shown once: when the page is left nothing keeps it.
    gcTime: 0,
  });
}

interface KeyFormProps {
  busy: boolean;
  error: unknown;
  onCreate: (body: ApiKeyCreate) => void;
}

function KeyForm({ busy, error, onCreate }: KeyFormProps) {
  const role = useSession().user?.role;
  const [chosen, choose] = useState<ReadonlySet<Scope>>(new Set<Scope>(["emails:send"]));
  const [bound, bind] = useState<ReadonlySet<string>>(new Set());
  const [term, setTerm] = useState<Term>("never");
  const [date, setDate] = useState("");
  const submit = (fields: FormData) =>
    onCreate({
      name: textOf(fields, "name"),
      mode: textOf(fields, "mode") === "test" ? "test" : "live",
      scopes: complete(chosen),
      ...optional("domain_ids", [...bound]),
      ...optional("allowed_cidrs", linesOf(textOf(fields, "networks"))),
      ...(term !== "never" && { expires_at: expiryOf(term, date, new Date())?.toISOString() }),
    });
  return (
    <Form
      label="Create a key"
      submit="create the key"
      busy={busy}
      error={error}
      onSubmit={submit}
      unable={role === "user" ? "Only owners and admins create keys." : undefined}
      aside={<Link to="/api-keys">back to the list</Link>}
    >
      <Field
        label="Name"
        name="name"
        location="body.name"
        hint="What it is for, such as shop receipts."
        required
        maxLength={100}
        autoFocus
        autoComplete="off"
      />
      <Select
        label="Mode"
        name="mode"
        location="body.mode"
        hint="What a test key sends is signed and ends in the built-in test network; it reads, and changes nothing else."
        defaultValue="live"
      >
        <option value="live">live: sends to the world</option>
        <option value="test">test: never leaves the server</option>
      </Select>
      <Scopes role={role} chosen={chosen} choose={choose} />
      <Domains bound={bound} bind={bind} />
      <Expiry term={term} setTerm={setTerm} date={date} setDate={setDate} />
      <Area
        label="Networks"
        name="networks"
        location="body.allowed_cidrs"
        rows={3}
        hint="From where it may be used: one a line, such as 192.0.2.0/24 or 2001:db8::/32. From everywhere when empty."
        spellCheck={false}
      />
    </Form>
  );
}

function optional<K extends string>(name: K, list: string[]): { [N in K]?: string[] } {
  return (list.length > 0 ? { [name]: list } : {}) as { [N in K]?: string[] };
}

function toggled<T>(set: ReadonlySet<T>, item: T, on: boolean): ReadonlySet<T> {
  const next = new Set(set);
  if (on) {
    next.add(item);
  } else {
    next.delete(item);
  }
  return next;
}

interface ScopesProps {
  role: string | undefined;
  chosen: ReadonlySet<Scope>;
  choose: Dispatch<SetStateAction<ReadonlySet<Scope>>>;
}

function Scopes({ role, chosen, choose }: ScopesProps) {
  const now = complete(chosen);
  const box = (scope: Scope | undefined) =>
    scope !== undefined && (
      <ScopeBox
        key={scope}
        scope={scope}
        role={role}
        chosen={chosen}
        onChange={(on) => choose((before) => toggled(before, scope, on))}
      />
    );
  return (
    <Group
      legend="Scopes"
      location="body.scopes"
      hint="What it may do: as little as its work needs. Who may write may read."
    >
      <div className="actions">
        {presets.map(({ name, of }) => {
          const granted = of.filter((scope) => mayGrant(role, scope));
          const pressed = granted.length === now.length && granted.every((scope) => now.includes(scope));
          return (
            <button key={name} type="button" aria-pressed={pressed} onClick={() => choose(new Set(granted))}>
              {name}
            </button>
          );
        })}
        <span role="status">
          {counted(now.length, "scope")} of {scopes.length}
        </span>
      </div>
      <Table<Resource>
        caption="Scopes by resource"
        rows={resources()}
        keyOf={(resource) => resource.name}
        columns={[
          { head: "Resource", cell: (resource) => <span className="word">{resource.name}</span> },
          { head: "Read", cell: (resource) => box(resource.read) },
          { head: "Write", cell: (resource) => box(resource.write) },
          { head: "More", cell: (resource) => resource.more.map(box) },
        ]}
      />
    </Group>
  );
}

interface ScopeBoxProps {
  scope: Scope;
  role: string | undefined;
  chosen: ReadonlySet<Scope>;
  onChange: (on: boolean) => void;
}

function ScopeBox({ scope, role, chosen, onChange }: ScopeBoxProps) {
  const by = includedBy(scope, chosen);
  const may = mayGrant(role, scope);
  const why = may ? by && `${by} includes it.` : "Only the owner can grant it.";
  return (
    <Check
      checked={chosen.has(scope) || by !== undefined}
      disabled={!may || by !== undefined}
      title={why}
      onChange={onChange}
    >
      <code>{scope}</code>{" "}
      <span className="quiet">
        {allows[scope]}
        {!may && ` ${why}`}
      </span>
    </Check>
  );
}

const listed = 30;

interface DomainsProps {
  bound: ReadonlySet<string>;
  bind: Dispatch<SetStateAction<ReadonlySet<string>>>;
}

function Domains({ bound, bind }: DomainsProps) {
  const role = useSession().user?.role;
  const [part, setPart] = useState("");
  const query = useQuery({ ...domains.all(), enabled: role !== "user" });
  const all = query.data ?? [];
  const found = matching(all, bound, part);
  return (
    <Group legend="Domains" location="body.domain_ids" hint={scopeOf(role, all, bound)}>
      {query.isLoading && <Loading what="domains" />}
      {query.isError && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      {all.length > listed && (
        <Field
          label="Find a domain"
          type="search"
          value={part}
          onChange={(e) => setPart(e.currentTarget.value)}
          onKeyDown={(e) => e.key === "Enter" && e.preventDefault()}
        />
      )}
      {found.slice(0, listed + bound.size).map((d) => (
        <Check key={d.id} checked={bound.has(d.id)} onChange={(on) => bind((before) => toggled(before, d.id, on))}>
          {d.name}
        </Check>
      ))}
      {found.length > listed && (
        <p className="quiet">and {found.length - listed - bound.size} more: find them by a part of the name.</p>
      )}
    </Group>
  );
}

/** All in their order when they are few; else first the ticked ones, then those with this part in their name. */
function matching(all: readonly Domain[], bound: ReadonlySet<string>, part: string): readonly Domain[] {
  if (all.length <= listed) {
    return all;
  }
  const wanted = part.trim().toLowerCase();
  return [...all.filter((d) => bound.has(d.id)), ...all.filter((d) => !bound.has(d.id) && d.name.includes(wanted))];
}

function scopeOf(role: string | undefined, all: readonly Domain[], bound: ReadonlySet<string>): string {
  if (bound.size > 0) {
    return `Bound to ${all
      .filter((d) => bound.has(d.id))
      .map((d) => d.name)
      .join(", ")}.`;
  }
  return role === "owner"
    ? "None is ticked: the key has all domains, also those that come later."
    : "None is ticked: the key has all domains that you administer now.";
}

interface ExpiryProps {
  term: Term;
  setTerm: (term: Term) => void;
  date: string;
  setDate: (date: string) => void;
}

function Expiry({ term, setTerm, date, setDate }: ExpiryProps) {
  const end = expiryOf(term, date, new Date());
  return (
    <>
      <Select
        label="Expires"
        location={term === "date" ? undefined : "body.expires_at"}
        hint={end === undefined ? undefined : `It ends at ${absolute(end)}.`}
        value={term}
        onChange={(e) => setTerm(termOf(e.currentTarget.value))}
      >
        {terms.map((t) => (
          <option key={t}>{t}</option>
        ))}
      </Select>
      {term === "date" && (
        <Field
          label="Last day"
          type="date"
          location="body.expires_at"
          required
          value={date}
          onChange={(e) => setDate(e.currentTarget.value)}
        />
      )}
    </>
  );
}

/** The one time that the key is shown. Who leaves without saying that it is saved is asked. */
function Created({ apiKey }: { apiKey: ApiKeyCreated }) {
  const navigate = useNavigate();
  const toast = useToast();
  const top = useRef<HTMLDivElement>(null);
  const leave = useLeaveGuard();
  useEffect(() => top.current?.focus(), []);
  const saved = () => {
    leave.allow();
    toast(`${apiKey.name} is created`);
    void navigate({ to: "/api-keys" });
  };
  return (
    <div ref={top} tabIndex={-1} className="summary">
      <h2>Save the key of “{apiKey.name}” now</h2>
      <p>It is shown this once. The server keeps only what it needs to know it again.</p>
      <Sample code={apiKey.key} what="the key" />
      <p>As the SDKs and the examples take it:</p>
      <Sample code={environment(`${window.location.origin}/v1`, apiKey.key)} what="the environment" />
      <p className="actions">
        <button type="button" className="primary" onClick={saved}>
          I have saved it
        </button>
      </p>
      {leave.asking && (
        <Confirm
          title={`Leave without the key of “${apiKey.name}”?`}
          action="leave"
          keep="stay"
          busy={false}
          onConfirm={leave.proceed}
          onClose={leave.stay}
        >
          <p>It cannot be shown again. If it is not saved, revoke it and create another one.</p>
        </Confirm>
      )}
    </div>
  );
}

function useLeaveGuard() {
  const allowed = useRef(false);
  const [guard] = useState(() => () => !allowed.current);
  const blocker = useBlocker({ shouldBlockFn: guard, enableBeforeUnload: guard, withResolver: true });
  return {
    allow: () => {
      allowed.current = true;
    },
    asking: blocker.status === "blocked",
    proceed: () => blocker.proceed?.(),
    stay: () => blocker.reset?.(),
  };
}
