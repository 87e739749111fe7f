import type { Domain, DomainRelay } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { counted } from "../format.js";
import { domains, users } from "../queries.js";
import { api, useSession } from "../session.js";
import { Copy } from "../ui/copy.js";
import { DeleteSection } from "../ui/delete.js";
import { Confirm } from "../ui/dialog.js";
import { Loading } from "../ui/listing.js";
import { ProblemNote } from "../ui/problem.js";
import { Refusal } from "../ui/refusal.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";
import { useToast } from "../ui/toast.js";
import { DnsRecords } from "./domain-dns.js";
import { DkimKeys } from "./domain-keys.js";

const route = getRouteApi("/inside/domains/$id");

export default function DomainPage() {
  const { id } = route.useParams();
  const { data: domain } = useSuspenseQuery(domains.one(id));
  return (
    <>
      <h1>{domain.name}</h1>
      <dl className="facts">
        <dt>Added</dt>
        <dd>
          <Time at={domain.created_at} />
        </dd>
        <dt>Changed</dt>
        <dd>
          <Time at={domain.updated_at} />
        </dd>
        <dt>Id</dt>
        <dd>
          <code>{domain.id}</code> <Copy text={domain.id} what="the id of the domain" />
        </dd>
      </dl>
      <StatusSection domain={domain} />
      <DnsRecords domain={domain} />
      <DkimKeys domain={domain} />
      <Users domain={domain} />
      <SmartHost domain={domain} />
      <Delete domain={domain} />
    </>
  );
}

/** What a status means and what comes next. */
const meaning: Record<Domain["status"], { means: string; next: string }> = {
  pending: {
    means: "Mail for its users arrives; none may be sent from it yet.",
    next: "Publish the DNS records below and activate the DKIM keys. Then the owner declares the domain verified.",
  },
  verified: {
    means: "Mail for its users arrives, and they may send.",
    next: "Nothing has to be done as long as the DNS records below stay published.",
  },
  disabled: {
    means: "No mail is taken for it and none is sent from it. What its users have stays.",
    next: "Enable it to let mail flow again.",
  },
};

type Wish = { status: Domain["status"]; force?: boolean };

function useSetStatus(domain: Domain) {
  const cache = useQueryClient();
  const toast = useToast();
  return useMutation({
    mutationFn: ({ status, force }: Wish) =>
      api.domains.update(domain.id, { status }, force ? {} : { ifMatch: domain }),
    onSuccess: async (changed) => {
      cache.setQueryData(domains.one(domain.id).queryKey, changed);
      toast(`${changed.name} is ${changed.status}`);
      await cache.invalidateQueries({ queryKey: ["domains"] });
    },
  });
}

function StatusSection({ domain }: { domain: Domain }) {
  const cache = useQueryClient();
  const owner = useSession().user?.role === "owner";
  const [asked, setAsked] = useState(false);
  const set = useSetStatus(domain);
  const { means, next } = meaning[domain.status];
  const reload = async () => {
    await cache.refetchQueries({ queryKey: domains.one(domain.id).queryKey });
    set.reset();
  };
  const overwrite = () => set.variables && set.mutate({ ...set.variables, force: true });
  const whyNot = owner ? undefined : "Only the owner may declare a domain verified.";
  return (
    <section aria-label="Status">
      <h2>Status</h2>
      <p>
        <Status is={domain.status} />. {means}
      </p>
      <p>{next}</p>
      <p className="actions">
        {domain.status !== "disabled" && (
          <button
            type="button"
            className={domain.status === "pending" ? "primary" : ""}
            disabled={set.isPending || domain.status === "verified" || whyNot !== undefined}
            title={whyNot ?? (domain.status === "verified" ? "It is verified already." : undefined)}
            onClick={() => set.mutate({ status: "verified" })}
          >
            declare it verified
          </button>
        )}
        {domain.status === "disabled" ? (
          <>
            <button
              type="button"
              className="primary"
              disabled={set.isPending || whyNot !== undefined}
              title={whyNot}
              onClick={() => set.mutate({ status: "verified" })}
            >
              enable
            </button>
            <button type="button" disabled={set.isPending} onClick={() => set.mutate({ status: "pending" })}>
              enable for receiving only
            </button>
          </>
        ) : (
          <button type="button" className="danger" disabled={set.isPending} onClick={() => setAsked(true)}>
            disable
          </button>
        )}
        {whyNot !== undefined && domain.status !== "verified" && <span className="quiet">{whyNot}</span>}
      </p>
      {!asked && (
        <Refusal
          error={set.error}
          what={domain.name}
          busy={set.isPending}
          onReload={() => void reload()}
          onOverwrite={overwrite}
        />
      )}
      {asked && (
        <Confirm
          title={`Disable ${domain.name}?`}
          action="disable the domain"
          busy={set.isPending}
          onConfirm={() => set.mutate({ status: "disabled" }, { onSettled: () => setAsked(false) })}
          onClose={() => setAsked(false)}
        >
          <p>
            Mail for its users is refused and none may be sent from it until it is enabled again. Nothing that is stored
            is lost.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function Users({ domain }: { domain: Domain }) {
  const query = useInfiniteQuery(users.list({ domain_id: domain.id }));
  const found = query.data?.pages.flatMap((page) => page.items).length;
  return (
    <section aria-label="Users">
      <h2>Users</h2>
      {query.isError && found === undefined && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      <p className="actions">
        <Link to="/users" search={{ domain_id: domain.id }}>
          {found === undefined ? "users" : counted(found, "user")}
          {query.hasNextPage && " or more"} of {domain.name}
        </Link>
        <Link to="/emails" search={{ domain_id: domain.id }}>
          what was sent from it
        </Link>
        <Link to="/users/new" search={{ domain_id: domain.id }} className="button">
          add a user
        </Link>
      </p>
    </section>
  );
}

const relayTls = {
  none: "in clear",
  starttls: "STARTTLS with a verified certificate",
  implicit: "TLS with a verified certificate",
};

/** It is read when somebody wants to see it: most domains have none, and the API calls that "not found". */
function SmartHost({ domain }: { domain: Domain }) {
  const [open, setOpen] = useState(false);
  return (
    <section aria-label="Smart host">
      <h2>Smart host</h2>
      <details onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>where the domain's mail to other servers goes</summary>
        {open && <Relay domain={domain} />}
      </details>
    </section>
  );
}

function Relay({ domain }: { domain: Domain }) {
  const { data: relay, isPending, error, refetch } = useQuery(domains.relay(domain.id));
  if (isPending) {
    return <Loading what="the smart host" />;
  }
  if (relay === undefined) {
    return <ProblemNote error={error} retry={() => void refetch()} />;
  }
  return (
    <>
      {relay === null ? (
        <p>
          It has no smart host: its mail goes straight to the receivers' servers, or where all mail of this server goes.
        </p>
      ) : (
        <RelayFacts relay={relay} />
      )}
      <p className="quiet">It is set from a shell:</p>
      <pre>mailserver domain relay set {domain.name} smtp.example.test</pre>
    </>
  );
}

function RelayFacts({ relay }: { relay: DomainRelay }) {
  return (
    <dl className="facts">
      <dt>Server</dt>
      <dd>
        <code>
          {relay.host}:{relay.port}
        </code>
      </dd>
      <dt>Connection</dt>
      <dd>{relayTls[relay.tls]}</dd>
      <dt>Signs in as</dt>
      <dd>{relay.username === "" ? <span className="quiet">nobody</span> : <code>{relay.username}</code>}</dd>
      <dt>Password</dt>
      <dd>{relay.has_password ? "stored" : "none"}</dd>
      <dt>Changed</dt>
      <dd>
        <Time at={relay.updated_at} />
      </dd>
    </dl>
  );
}

function Delete({ domain }: { domain: Domain }) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const owner = useSession().user?.role === "owner";
  const { data } = useInfiniteQuery(users.list({ domain_id: domain.id }));
  const used = data?.pages[0]?.items.length ?? 0;
  const remove = useMutation({
    mutationFn: () => api.domains.delete(domain.id),
    onSuccess: async () => {
      toast(`${domain.name} is deleted`);
      // A list from before would still have the row, which would ask for its keys.
      cache.removeQueries({ queryKey: ["domains", "list"] });
      await navigate({ to: "/domains" });
      cache.removeQueries({ queryKey: domains.one(domain.id).queryKey });
    },
  });
  const whyNot = owner
    ? used > 0
      ? "Users still belong to the domain: delete them first."
      : undefined
    : "Only the owner deletes domains.";
  return (
    <DeleteSection what="domain" name={domain.name} whyNot={whyNot} remove={remove}>
      Mail for it is refused from then on. Its DKIM keys and its smart host are gone for ever; a domain of the same name
      that is added later gets others.
    </DeleteSection>
  );
}
