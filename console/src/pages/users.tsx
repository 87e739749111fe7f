import type { User } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { number } from "../format.js";
import { matchAddress, oneOf } from "../match.js";
import { users } from "../queries.js";
import { usage } from "../size.js";
import { type Column, Listing } from "../ui/listing.js";
import { Choice, Search } from "../ui/search.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { DomainChoice } from "./domain-choice.js";

const route = getRouteApi("/inside/users/");
const roles = ["owner", "admin", "user"] as const;
const statuses = ["active", "disabled"] as const;

const columns: readonly Column<User>[] = [
  {
    head: "Address",
    cell: (u) => (
      <Link to="/users/$id" params={{ id: u.id }}>
        {u.email}
      </Link>
    ),
  },
  { head: "Name", cell: (u) => u.name },
  { head: "Role", cell: (u) => u.role },
  { head: "Status", cell: (u) => <Status is={u.status} /> },
  { head: "Used", kind: "number", cell: (u) => usage(u.used_bytes, u.quota_bytes) },
  { head: "Messages", kind: "number", cell: (u) => number(u.messages) },
  { head: "Added", cell: (u) => <Time at={u.created_at} /> },
];

export default function UsersPage() {
  const { email, domain_id, role, status } = route.useSearch();
  const filter = { domain_id, role: oneOf(roles, role), status: oneOf(statuses, status) };
  const { has, whole } = matchAddress(email);
  const all = useInfiniteQuery(users.list(filter));
  const asked = whole !== undefined && all.isSuccess && !all.data.pages.some((p) => p.items.some((u) => has(u.email)));
  const one = useInfiniteQuery({ ...users.list({ ...filter, email: whole }), enabled: asked });
  const filtered = email !== undefined || Object.values(filter).some((value) => value !== undefined);
  return (
    <>
      <h1>Users</h1>
      <Filters />
      <Listing
        caption="Users"
        query={asked ? one : all}
        keyOf={(u) => u.id}
        only={asked ? undefined : (u) => has(u.email)}
        columns={columns}
        empty={filtered ? <NoneFound part={email !== undefined && whole === undefined} /> : <None />}
      />
    </>
  );
}

function Filters() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const set = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  return (
    <div className="tools">
      <Search label="Address" value={search.email} onSearch={(email) => set({ email })} />
      <DomainChoice value={search.domain_id} onChoose={(domain_id) => set({ domain_id })} />
      <Choice label="Role" value={search.role} onChoose={(role) => set({ role })} options={roles} />
      <Choice label="Status" value={search.status} onChoose={(status) => set({ status })} options={statuses} />
      <Link to="/users/new" search={{ domain_id: search.domain_id }} className="button">
        add a user
      </Link>
    </div>
  );
}

function None() {
  return (
    <>
      <p>
        There is no user yet. <Link to="/users/new">Add the first one</Link>, or from a shell:
      </p>
      <pre>mailserver user create alice@example.test</pre>
    </>
  );
}

function NoneFound({ part }: { part: boolean }) {
  return (
    <>
      <p>
        No user {part ? "that was read " : ""}fits.{" "}
        <Link to="/users" search={{}}>
          Show all
        </Link>
        , or from a shell:
      </p>
      <pre>mailserver user list</pre>
    </>
  );
}
