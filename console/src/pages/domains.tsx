import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { domains } from "../queries.js";
import { Listing } from "../ui/listing.js";
import { Search } from "../ui/search.js";
import { Status } from "../ui/status.js";
import { Time } from "../ui/time.js";

const route = getRouteApi("/inside/domains/");

export default function DomainsPage() {
  const { name } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(domains.list({ name }));
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
        query={query}
        keyOf={(d) => d.id}
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
              No domain is named <code>{name}</code>.
            </p>
          )
        }
      />
    </>
  );
}
