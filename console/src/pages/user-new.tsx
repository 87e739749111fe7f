import type { Domain, User, UserCreate } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { domains } from "../queries.js";
import { api, useSession } from "../session.js";
import { joinSize } from "../size.js";
import { Field, Form, Frame, textOf } from "../ui/field.js";
import { NewPassword } from "../ui/password.js";
import { ProblemNote } from "../ui/problem.js";
import { useToast } from "../ui/toast.js";
import { AdminDomains, QuotaField, RoleField } from "./user-fields.js";

const route = getRouteApi("/inside/users/new");

export default function UserNewPage() {
  const create = useCreate();
  const hosted = useInfiniteQuery(domains.list());
  const [role, setRole] = useState<User["role"]>("user");
  const mayAdd = useSession().user?.role !== "user";
  const names = hosted.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <h1>Add a user</h1>
      {hosted.isError && <ProblemNote error={hosted.error} retry={() => void hosted.refetch()} />}
      {hosted.isSuccess && names.length === 0 && (
        <p className="empty">
          A user needs a domain, and none is hosted here yet. <Link to="/domains/new">Add a domain</Link> first.
        </p>
      )}
      <Form
        label="Add a user"
        submit="add the user"
        busy={create.isPending}
        error={create.error}
        onSubmit={(fields) => create.mutate({ fields, role })}
        unable={mayAdd ? undefined : "Only owners and administrators add users."}
        aside={<Link to="/users">back to the list</Link>}
      >
        <Address names={names} />
        <Field
          label="Display name"
          name="name"
          location="body.name"
          hint="What receivers see beside the address. May stay empty."
          autoComplete="off"
        />
        <NewPassword label="Password" name="password" location="body.password" />
        <RoleField role={role} onRole={setRole} />
        {role === "admin" && <AdminDomains />}
        <QuotaField hint="How much the mailbox may hold; the server's default when empty." />
      </Form>
      <p className="quiet">From a shell, with a password that is made up and shown once:</p>
      <pre>mailserver user create alice@example.test</pre>
    </>
  );
}

/** The part before the @ beside the hosted domains, or the whole address. */
function Address({ names }: { names: readonly Domain[] }) {
  const { domain_id } = route.useSearch();
  const [local, setLocal] = useState("");
  const whole = local.includes("@");
  const first = names.find(({ id }) => id === domain_id) ?? names[0];
  return (
    <Frame label="Address" location="body.email" hint="The part before the @, or the whole address.">
      {(ids) => (
        <span className="pair">
          <input
            {...ids}
            name="local"
            required
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            value={local}
            onChange={(e) => setLocal(e.currentTarget.value)}
          />
          <select
            key={first?.id}
            name="domain"
            aria-label="Domain of the address"
            defaultValue={first?.name}
            disabled={whole}
            title={whole ? "The address has its domain." : undefined}
          >
            {names.map(({ id, name }) => (
              <option key={id} value={name}>
                @{name}
              </option>
            ))}
          </select>
        </span>
      )}
    </Frame>
  );
}

interface Filled {
  fields: FormData;
  role: User["role"];
}

function useCreate() {
  const cache = useQueryClient();
  const navigate = route.useNavigate();
  const toast = useToast();
  return useMutation({
    mutationFn: (filled: Filled) => api.users.create(userOf(filled)),
    onSuccess: async (user) => {
      await cache.invalidateQueries({ queryKey: ["users"] });
      toast(`${user.email} is added`);
      await navigate({ to: "/users/$id", params: { id: user.id } });
    },
  });
}

function userOf({ fields, role }: Filled): UserCreate {
  const local = textOf(fields, "local");
  const user: UserCreate = {
    email: local.includes("@") ? local : `${local}@${textOf(fields, "domain")}`,
    // A password may begin with a blank.
    password: String(fields.get("password") ?? ""),
    role,
  };
  const name = textOf(fields, "name");
  if (name !== "") {
    user.name = name;
  }
  const quota = joinSize(textOf(fields, "quota"), textOf(fields, "quota_unit"));
  if (!Number.isNaN(quota)) {
    user.quota_bytes = quota;
  }
  if (role === "admin") {
    user.admin_domain_ids = fields.getAll("admin_domain_ids").map(String);
  }
  return user;
}
