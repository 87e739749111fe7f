import type { Domain } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { matchName } from "../match.js";
import { domains } from "../queries.js";
import { Listing } from "../ui/listing.js";
import { Search } from "../ui/search.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";

const route = getRouteApi("/inside/domains/");

export default function DomainsPage() {
  const { name } = route.useSearch();
  const navigate = route.useNavigate();
  const { has, whole } = matchName(name);
  const all = useInfiniteQuery(domains.list());
  const asked = whole !== undefined && all.isSuccess && !all.data.pages.some((p) => p.items.some((d) => has(d.name)));
  const one = useInfiniteQuery({ ...domains.list({ name: whole }), enabled: asked });
  return (
    <>
      <h1>Domains</h1>
      <div className="tools">
        <Search label="Name" value={name} onSearch={(to) => void navigate({ search: { name: to }, replace: true })} />
        <Link to="/domains/new" className="button">
          add a domain
        </Link>
      </div>
      <Listing
        caption="Domains"
        query={asked ? one : all}
        keyOf={(d) => d.id}
        only={asked ? undefined : (d) => has(d.name)}
        columns={[
          {
            head: "Name",
            cell: (d) => (
              <Link to="/domains/$id" params={{ id: d.id }}>
                {d.name}
              </Link>
            ),
          },
          { head: "Status", cell: (d) => <Status is={d.status} /> },
          { head: "DKIM", cell: (d) => <Dkim domain={d} /> },
          { head: "Added", cell: (d) => <Time at={d.created_at} /> },
        ]}
        empty={
          name === undefined ? (
            <>
              <p>
                No domain is hosted yet. <Link to="/domains/new">Add the first one</Link>, or from a shell:
              </p>
              <pre>mailserver domain create example.test</pre>
            </>
          ) : (
            <p>
              No domain {whole === undefined ? "that was read has a name with" : "is named"} <code>{name}</code>.
            </p>
          )
        }
      />
    </>
  );
}

/** How long the keys of a domain are believed here: each row asks for its own, so that a look at the page does not ask for all. */
const believed = { staleTime: 60_000, refetchOnWindowFocus: false } as const;

function Dkim({ domain }: { domain: Domain }) {
  const query = useInfiniteQuery({ ...domains.keys(domain.id), ...believed });
  const keys = query.data?.pages.flatMap((page) => page.items);
  if (keys === undefined) {
    return <span className="quiet">{query.isError ? "cannot be read" : "…"}</span>;
  }
  const broken = keys.some((key) => key.state === "active" && !key.available);
  const signing = keys.filter((key) => key.state === "active").map((key) => key.algorithm);
  if (broken) {
    return <span className="finding">an active key cannot be read: mail waits</span>;
  }
  if (signing.length > 0) {
    return (
      <>
        <Status is="active" /> {signing.join(", ")}
      </>
    );
  }
  return keys.some((key) => key.state === "pending") ? <Status is="pending" /> : <>none: unsigned</>;
}
