import type { DkimKey, DkimKeyCreate, DkimKeyUpdate, Domain } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { keptUntil, type Step, whyNot } from "../dkim.js";
import { oneOf } from "../match.js";
import { domains } from "../queries.js";
import { api } from "../session.js";
import { Confirm } from "../ui/dialog.js";
import { Field, Form, Select, textOf } from "../ui/field.js";
import { Listing } from "../ui/listing.js";
import { ProblemNote } from "../ui/problem.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { useToast } from "../ui/toast.js";

const states = ["pending", "active", "retiring", "revoked"] as const;

const meaning: Record<DkimKey["state"], string> = {
  pending: "waits until its record is published and it is activated",
  active: "signs the domain's mail",
  retiring: "signs no more; its record stays published for seven days, for mail that is still on its way",
  revoked: "its private part is gone for ever",
};

export function DkimKeys({ domain }: { domain: Domain }) {
  const query = useInfiniteQuery(domains.keys(domain.id));
  const keys = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section aria-label="DKIM keys">
      <h2>DKIM keys</h2>
      <p>
        A key is <strong>pending</strong> ({meaning.pending}), then <strong>active</strong> ({meaning.active}), then{" "}
        <strong>retiring</strong> ({meaning.retiring}), then <strong>revoked</strong> ({meaning.revoked}). One RSA and
        one Ed25519 key are active at a time.
      </p>
      {query.isSuccess && keys.length > 0 && !keys.some((key) => key.state === "active") && (
        <p className="stale">No key is active: the domain's mail goes out unsigned, and many receivers distrust it.</p>
      )}
      <Listing
        caption={`DKIM keys of ${domain.name}`}
        query={query}
        keyOf={(key) => key.id}
        columns={[
          { head: "Selector", cell: (key) => <code>{key.selector}</code> },
          { head: "Algorithm", cell: (key) => key.algorithm },
          { head: "State", cell: (key) => <State of={key} /> },
          { head: "Added", cell: (key) => <Time at={key.created_at} /> },
          { head: "Change", cell: (key) => <Steps of={key} domain={domain} keys={keys} /> },
        ]}
        empty={
          <>
            <p>No key: the domain's mail goes out unsigned. Create one below, or from a shell:</p>
            <pre>mailserver dkim create {domain.name}</pre>
          </>
        }
      />
      <Create domain={domain} />
    </section>
  );
}

/** The way of a key with the step where it stands. */
function State({ of: key }: { of: DkimKey }) {
  return (
    <>
      <ol className="steps">
        {states.map((state) => (
          <li key={state} aria-current={state === key.state ? "step" : undefined}>
            {state === key.state ? <Status is={state} /> : state}
          </li>
        ))}
      </ol>
      <Since of={key} />
      {!key.available && key.state !== "revoked" && (
        <p className="finding">
          Its private part cannot be read. Mail of the domain waits while an active key cannot be read.
        </p>
      )}
    </>
  );
}

function Since({ of: key }: { of: DkimKey }) {
  switch (key.state) {
    case "pending":
      return <span className="quiet">publish its record, then activate it</span>;
    case "active":
      return (
        <span className="quiet">
          since <Time at={key.activated_at} />
        </span>
      );
    case "retiring":
      return (
        <span className="quiet">
          since <Time at={key.retired_at} />; keep its record until {keptUntil(key.retired_at ?? key.updated_at)}
        </span>
      );
    case "revoked":
      return (
        <span className="quiet">
          since <Time at={key.revoked_at} />
        </span>
      );
  }
}

const verbs: Record<Step, { verb: string; done: string }> = {
  active: { verb: "activate", done: "is active" },
  retiring: { verb: "retire", done: "is retiring" },
  revoked: { verb: "revoke", done: "is revoked" },
  deleted: { verb: "delete", done: "is deleted" },
};

function Steps({ of: key, domain, keys }: { of: DkimKey; domain: Domain; keys: readonly DkimKey[] }) {
  const [asked, setAsked] = useState<Step>();
  const cache = useQueryClient();
  const toast = useToast();
  const go = useMutation({
    mutationFn: async (step: Step) => {
      if (step === "deleted") {
        await api.dkimKeys.delete(domain.id, key.id);
        return;
      }
      const body: DkimKeyUpdate = { state: step };
      await api.dkimKeys.update(domain.id, key.id, body);
    },
    onSuccess: async (_, step) => {
      toast(`The key ${key.selector} ${verbs[step].done}`);
      await cache.invalidateQueries({ queryKey: ["domains"] });
    },
  });
  const press = (step: Step) => {
    if (go.isPending || whyNot(key, step) !== undefined) {
      return;
    }
    go.reset();
    if (step === "active") {
      go.mutate(step);
    } else {
      setAsked(step);
    }
  };
  return (
    <>
      <span className="buttons">
        {(["active", "retiring", "revoked", "deleted"] as const).map((step) => (
          <button
            key={step}
            type="button"
            className={step === "active" || step === "retiring" ? "small" : "small danger"}
            // It keeps the focus when its own work makes it unusable, and tells its reason to the keyboard too.
            aria-disabled={go.isPending || whyNot(key, step) !== undefined}
            title={whyNot(key, step)}
            aria-label={`${verbs[step].verb} ${key.selector}`}
            onClick={() => press(step)}
          >
            {verbs[step].verb}
          </button>
        ))}
      </span>
      {go.isPending && asked === undefined && (
        <p className="quiet" role="status">
          asking the name servers…
        </p>
      )}
      {asked === undefined && go.error && <ProblemNote error={go.error} />}
      {asked !== undefined && (
        <Confirm
          title={`${capital(verbs[asked].verb)} the key ${key.selector} of ${domain.name}?`}
          action={`${verbs[asked].verb} the key`}
          busy={go.isPending}
          error={go.error}
          onConfirm={() => go.mutate(asked, { onSuccess: () => setAsked(undefined) })}
          onClose={() => {
            setAsked(undefined);
            go.reset();
          }}
        >
          {consequence(asked, key, keys)}
        </Confirm>
      )}
    </>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function consequence(step: Step, key: DkimKey, keys: readonly DkimKey[]): ReactNode {
  const last = key.state === "active" && keys.filter((other) => other.state === "active").length === 1;
  return (
    <>
      {last && <p>It is the only active key: until another is active, the domain's mail goes out unsigned.</p>}
      {step === "retiring" && (
        <p>
          It signs no more. Keep its record published for seven days; until it is revoked, it can be activated again.
        </p>
      )}
      {step === "revoked" && (
        <p>
          Its private part is destroyed for ever, and signatures on mail that is still on its way fail once its record
          says so.
        </p>
      )}
      {step === "deleted" && <p>It leaves this list. Its selector is never used again.</p>}
    </>
  );
}

const algorithms = ["rsa2048", "ed25519"] as const;

function Create({ domain }: { domain: Domain }) {
  const cache = useQueryClient();
  const toast = useToast();
  const create = useMutation({
    mutationFn: (fields: FormData) => {
      const selector = textOf(fields, "selector");
      const body: DkimKeyCreate = { algorithm: oneOf(algorithms, textOf(fields, "algorithm")) };
      return api.dkimKeys.create(domain.id, selector === "" ? body : { ...body, selector });
    },
    onSuccess: async (key) => {
      toast(`The key ${key.selector} is ${key.state}`);
      await cache.invalidateQueries({ queryKey: ["domains"] });
    },
  });
  return (
    <details>
      <summary>create a key</summary>
      <Form
        label="Create a DKIM key"
        submit="create the key"
        busy={create.isPending}
        error={create.error}
        onSubmit={create.mutate}
      >
        <Select label="Algorithm" name="algorithm" location="body.algorithm" defaultValue="rsa2048">
          <option value="rsa2048">RSA, 2048 bits</option>
          <option value="ed25519">Ed25519</option>
        </Select>
        <Field
          label="Selector"
          name="selector"
          location="body.selector"
          hint="Its name below _domainkey. Chosen when empty: year and month, r or e, a number."
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
      </Form>
      <p className="quiet">A private key from elsewhere is imported from a shell:</p>
      <pre>mailserver dkim import {domain.name} key.pem</pre>
    </details>
  );
}
