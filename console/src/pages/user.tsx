import type { Mailbox, User } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { bytes, counted, number, shortened } from "../format.js";
import { domains, users } from "../queries.js";
import { whyNot } from "../rights.js";
import { api, session, useSession } from "../session.js";
import { usage } from "../size.js";
import { Copy } from "../ui/copy.js";
import { DeleteSection } from "../ui/delete.js";
import { type Column, Listing, Table } from "../ui/listing.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { useToast } from "../ui/toast.js";
import { type ClientServer, clientServers } from "../zone.js";
import { Edit, Password } from "./user-edit.js";

const route = getRouteApi("/inside/users/$id");

export default function UserPage() {
  const { id } = route.useParams();
  const { data: user } = useSuspenseQuery(users.one(id));
  return (
    <>
      <h1>{user.email}</h1>
      <Facts user={user} />
      <Mailboxes user={user} />
      <Clients user={user} />
      <Edit key={`edit-${id}`} user={user} />
      <Password key={`password-${id}`} user={user} />
      <Delete user={user} />
    </>
  );
}

function Facts({ user }: { user: User }) {
  const hosted = useInfiniteQuery(domains.list()).data?.pages.flatMap((page) => page.items) ?? [];
  const nameOf = (id: string) => hosted.find((domain) => domain.id === id)?.name ?? shortened(id);
  const mayRead = useMayReadDomains();
  return (
    <dl className="facts">
      <dt>Name</dt>
      <dd>{user.name === "" ? <span className="quiet">none</span> : user.name}</dd>
      <dt>Domain</dt>
      <dd>{mayRead ? <DomainLink id={user.domain_id} name={domainOf(user)} /> : domainOf(user)}</dd>
      <dt>Role</dt>
      <dd>{user.role}</dd>
      {user.role === "admin" && (
        <>
          <dt>Administers</dt>
          <dd>
            {user.admin_domain_ids.length === 0 && <span className="quiet">no domain</span>}
            {user.admin_domain_ids.map((id, i) => (
              <span key={id}>
                {i > 0 && ", "}
                <DomainLink id={id} name={nameOf(id)} />
              </span>
            ))}
          </dd>
        </>
      )}
      <dt>Status</dt>
      <dd>
        <Status is={user.status} />
      </dd>
      <dt>Used</dt>
      <dd>
        <meter
          aria-label="How much of the quota is used"
          min={0}
          max={user.quota_bytes}
          high={user.quota_bytes * nearlyFull}
          optimum={0}
          value={user.used_bytes}
        />{" "}
        {usage(user.used_bytes, user.quota_bytes)} in {counted(user.messages, "message")}
        {user.used_bytes >= user.quota_bytes * nearlyFull && (
          <span className="finding"> nearly full: mail is refused when nothing more fits</span>
        )}
      </dd>
      <dt>Added</dt>
      <dd>
        <Time at={user.created_at} />
      </dd>
      <dt>Changed</dt>
      <dd>
        <Time at={user.updated_at} />
      </dd>
      <dt>Id</dt>
      <dd>
        <code>{user.id}</code> <Copy text={user.id} what="the id of the user" />
      </dd>
    </dl>
  );
}

const nearlyFull = 0.9;

function DomainLink({ id, name }: { id: string; name: string }) {
  return (
    <Link to="/domains/$id" params={{ id }}>
      {name}
    </Link>
  );
}

function domainOf(user: User): string {
  return user.email.slice(user.email.lastIndexOf("@") + 1);
}

/** To users of the role "user" domains do not exist. */
function useMayReadDomains(): boolean {
  return useSession().user?.role !== "user";
}

const mailboxColumns: readonly Column<Mailbox>[] = [
  { head: "Name", cell: (m) => m.name },
  { head: "For", cell: (m) => m.role ?? (m.name === "INBOX" ? "new mail" : "") },
  { head: "Messages", kind: "number", cell: (m) => number(m.total) },
  { head: "Unread", kind: "number", cell: (m) => number(m.unseen) },
  { head: "Size", kind: "number", cell: (m) => bytes(m.size_bytes) },
];

function Mailboxes({ user }: { user: User }) {
  const query = useInfiniteQuery(users.mailboxes(user.id));
  return (
    <section aria-label="Mailboxes">
      <h2>Mailboxes</h2>
      <Listing
        caption={`Mailboxes of ${user.email}`}
        query={query}
        keyOf={(m) => m.id}
        columns={mailboxColumns}
        empty={
          <>
            <p>The user has no mailbox; the first mail client that signs in makes some. The same from the API:</p>
            <pre>{`curl -H "Authorization: Bearer $KEY" $API/users/${user.id}/mailboxes`}</pre>
          </>
        }
      />
    </section>
  );
}

const clientColumns: readonly Column<ClientServer>[] = [
  { head: "To", cell: (s) => s.what },
  {
    head: "Server",
    cell: (s) => (
      <>
        <code>{s.host}</code> <Copy text={s.host} what={`the server to ${s.what}`} />
      </>
    ),
  },
  { head: "Port", kind: "number", cell: (s) => s.port },
  { head: "Security", cell: (s) => s.security },
];

/** The API tells them as SRV records, to those who may read the domain; others do without. */
function Clients({ user }: { user: User }) {
  const query = useInfiniteQuery({ ...domains.records(user.domain_id), enabled: useMayReadDomains() });
  const servers = clientServers(query.data?.pages.flatMap((page) => page.items) ?? []);
  if (servers.length === 0) {
    return null;
  }
  return (
    <section aria-label="Mail clients">
      <h2>Mail clients</h2>
      <p>
        They sign in with the address <code>{user.email}</code> and the password.
      </p>
      <Table
        caption="Servers for mail clients"
        columns={clientColumns}
        rows={servers}
        keyOf={(s) => `${s.host} ${s.port}`}
      />
    </section>
  );
}

function Delete({ user }: { user: User }) {
  const cache = useQueryClient();
  const navigate = route.useNavigate();
  const toast = useToast();
  const me = useSession().user;
  const reason = whyNot(me, user);
  const remove = useMutation({
    mutationFn: () => api.users.delete(user.id),
    onSuccess: async () => {
      toast(`${user.email} is deleted`);
      if (user.id === me?.id) {
        session.end();
        return;
      }
      cache.removeQueries({ queryKey: ["users", "list"] });
      await navigate({ to: "/users" });
      cache.removeQueries({ queryKey: users.one(user.id).queryKey });
    },
  });
  return (
    <DeleteSection what="user" name={user.email} whyNot={reason} remove={remove}>
      All mail of the user, {counted(user.messages, "message")}, is deleted for ever, and mail to the address is
      refused. To keep the mail, disable the user instead.
      {user.id === me?.id && " This is your own account: you are signed out."}
    </DeleteSection>
  );
}
