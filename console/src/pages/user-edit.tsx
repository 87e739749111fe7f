import { isProblem, type User, type UserUpdate } from "@mailserver-dev/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { oneOf } from "../match.js";
import { users } from "../queries.js";
import { whyNot } from "../rights.js";
import { api, session, useSession } from "../session.js";
import { joinSize, splitSize } from "../size.js";
import { Field, Form, Select, textOf } from "../ui/field.js";
import { NewPassword } from "../ui/password.js";
import { Refusal } from "../ui/refusal.js";
import { useToast } from "../ui/toast.js";
import { AdminDomains, QuotaField, RoleField } from "./user-fields.js";

const statuses = ["active", "disabled"] as const;

type Wish = { body: UserUpdate; force?: boolean };

/** Writes on the version that the form was filled from, not on one that was read behind it. */
function useSave(base: User, onSaved: (fresh: User) => void) {
  const cache = useQueryClient();
  const toast = useToast();
  const me = useSession().user;
  return useMutation({
    mutationFn: ({ body, force }: Wish) => api.users.update(base.id, body, force ? {} : { ifMatch: base }),
    onSuccess: async (fresh, { body }) => {
      toast(`${fresh.email} is changed`);
      onSaved(fresh);
      if (fresh.id === me?.id && (body.role !== undefined || body.status !== undefined)) {
        // The server has ended this session too.
        session.end();
        return;
      }
      cache.setQueryData(users.one(fresh.id).queryKey, fresh);
      await cache.invalidateQueries({ queryKey: ["users"] });
    },
  });
}

export function Edit({ user }: { user: User }) {
  const [base, setBase] = useState(user);
  const [filled, setFilled] = useState(0);
  const [role, setRole] = useState(user.role);
  const cache = useQueryClient();
  const toast = useToast();
  const me = useSession().user;
  const save = useSave(base, setBase);
  const stale = isProblem(save.error, "etag-mismatch");
  const submit = (fields: FormData) => {
    const body = changes(base, fields, role);
    if (Object.keys(body).length === 0) {
      toast("Nothing was changed");
      return;
    }
    save.mutate({ body });
  };
  const reload = async () => {
    const fresh = await cache.fetchQuery({ ...users.one(base.id), staleTime: 0 });
    setBase(fresh);
    setRole(fresh.role);
    setFilled((n) => n + 1);
    save.reset();
  };
  const { amount, unit } = splitSize(base.quota_bytes);
  return (
    <section aria-label="Change">
      <h2>Change</h2>
      {base.id === me?.id && (
        <p className="stale">This is your own account: another role or status signs you out everywhere.</p>
      )}
      {stale && (
        <Refusal
          error={save.error}
          what={base.email}
          busy={save.isPending}
          onReload={() => void reload()}
          onOverwrite={() => save.variables && save.mutate({ ...save.variables, force: true })}
        />
      )}
      <Form
        key={filled}
        label="Change the user"
        submit="save"
        busy={save.isPending}
        error={stale ? null : save.error}
        onSubmit={submit}
        unable={whyNot(me, base)}
      >
        <Field
          label="Display name"
          name="name"
          location="body.name"
          defaultValue={base.name}
          autoComplete="off"
          autoFocus={filled > 0}
        />
        <RoleField role={role} onRole={setRole} />
        {role === "admin" && <AdminDomains ticked={base.admin_domain_ids} />}
        <Select
          label="Status"
          name="status"
          location="body.status"
          defaultValue={base.status}
          hint="A disabled user can neither sign in nor receive; what the mailboxes hold stays."
        >
          {statuses.map((word) => (
            <option key={word}>{word}</option>
          ))}
        </Select>
        <QuotaField amount={amount} unit={unit} hint="How much the mailboxes may hold." />
      </Form>
    </section>
  );
}

/** The fields that differ from what the form was filled from. */
function changes(base: User, fields: FormData, role: User["role"]): UserUpdate {
  const body: UserUpdate = {};
  const name = textOf(fields, "name");
  if (name !== base.name) {
    body.name = name === "" ? null : name;
  }
  if (role !== base.role) {
    body.role = role;
  }
  const status = oneOf(statuses, textOf(fields, "status"));
  if (status !== undefined && status !== base.status) {
    body.status = status;
  }
  const quota = joinSize(textOf(fields, "quota"), textOf(fields, "quota_unit"));
  if (!Number.isNaN(quota) && quota !== base.quota_bytes) {
    body.quota_bytes = quota;
  }
  const domains = fields.getAll("admin_domain_ids").map(String);
  if (role === "admin" && String(domains.toSorted()) !== String(base.admin_domain_ids.toSorted())) {
    body.admin_domain_ids = domains;
  }
  return body;
}

export function Password({ user }: { user: User }) {
  const toast = useToast();
  const me = useSession().user;
  const own = user.id === me?.id;
  const [done, setDone] = useState(0);
  const set = useMutation({
    mutationFn: async (fields: FormData) => {
      const password = String(fields.get("password") ?? "");
      const current = String(fields.get("current_password") ?? "");
      await api.users.setPassword(user.id, own ? { password, current_password: current } : { password });
      if (own) {
        // All sessions have ended, this one too.
        await session.signIn(user.email, password).catch(() => session.end());
      }
    },
    onSuccess: () => {
      toast(own ? "Your password is changed; all other sessions have ended" : `${user.email} has a new password`);
      setDone((n) => n + 1);
    },
  });
  return (
    <section aria-label="Password">
      <h2>Password</h2>
      <p>
        A new password ends all {own ? "your sessions" : `sessions of ${user.email}`}; mail clients ask for it anew.
      </p>
      <Form
        key={done}
        label="Set a password"
        submit="set the password"
        busy={set.isPending}
        error={set.error}
        onSubmit={set.mutate}
        unable={own ? undefined : whyNot(me, user)}
      >
        <input type="hidden" name="username" autoComplete="username" value={user.email} readOnly />
        {own && (
          <Field
            label="Present password"
            name="current_password"
            location="body.current_password"
            type="password"
            autoComplete="current-password"
            required
          />
        )}
        <NewPassword label="New password" name="password" location="body.password" />
      </Form>
      <p className="quiet">From a shell:</p>
      <pre>mailserver user passwd {user.email}</pre>
    </section>
  );
}
