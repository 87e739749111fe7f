import type { ApiKey } from "@mailserver-dev/sdk";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { shortened } from "../format.js";
import { apiKeys, domains } from "../queries.js";
import { api, useSession } from "../session.js";
import { Copy } from "../ui/copy.js";
import { Confirm } from "../ui/dialog.js";
import { Check } from "../ui/group.js";
import { type Column, Listing } from "../ui/listing.js";
import { Status } from "../ui/status.js";
import { Time, useNow } from "../ui/time.js";
import { useToast } from "../ui/toast.js";
import { stateOf } from "./api-key-words.js";

const route = getRouteApi("/inside/api-keys/");

export default function ApiKeysPage() {
  const hidden = route.useSearch().revoked === "hidden";
  const navigate = route.useNavigate();
  const [revoking, setRevoking] = useState<ApiKey>();
  const query = useInfiniteQuery(apiKeys.list());
  const columns = useColumns(setRevoking);
  const hide = (yes: boolean) => void navigate({ search: yes ? { revoked: "hidden" } : {}, replace: true });
  return (
    <>
      <h1>API keys</h1>
      <div className="tools">
        <Check checked={hidden} onChange={hide}>
          hide revoked keys
        </Check>
        <Link to="/api-keys/new" className="button">
          create a key
        </Link>
      </div>
      <Listing
        caption="API keys"
        query={query}
        keyOf={(key) => key.id}
        columns={columns}
        only={hidden ? (key) => key.revoked_at === null : undefined}
        quiet={(key) => key.revoked_at !== null}
        empty={
          <>
            <p>
              {hidden ? "No key is valid." : "There is no API key yet."} Programs sign in with one:{" "}
              <Link to="/api-keys/new">create a key</Link>, or from a shell:
            </p>
            <pre>mailserver api-key create shop --scope emails:send</pre>
          </>
        }
      />
      {revoking && <Revoke apiKey={revoking} onClose={() => setRevoking(undefined)} />}
    </>
  );
}

function useColumns(revoke: (key: ApiKey) => void): Column<ApiKey>[] {
  const now = useNow();
  const nameOf = useDomainNames();
  return [
    {
      head: "Name",
      cell: (key) => (
        <>
          {key.name}
          <br />
          <code>{shortened(key.id)}</code> <Copy text={key.id} what={`the id of ${key.name}`} />
        </>
      ),
    },
    { head: "State", cell: (key) => <State apiKey={key} now={now} /> },
    { head: "Mode", cell: (key) => key.mode },
    { head: "Scopes", cell: (key) => <Several of={key.scopes} what="scopes" none="none" /> },
    { head: "Domains", cell: (key) => <Several of={key.domain_ids.map(nameOf)} what="domains" none="all" /> },
    { head: "Networks", cell: (key) => <Several of={key.allowed_cidrs} what="networks" none="all" /> },
    { head: "Last used", cell: (key) => <Time at={key.last_used_at} /> },
    { head: "Expires", cell: (key) => <Time at={key.expires_at} /> },
    {
      head: "Actions",
      kind: "actions",
      cell: (key) => (
        <button
          type="button"
          className="small"
          disabled={key.revoked_at !== null}
          title={key.revoked_at === null ? undefined : "It is revoked already."}
          aria-label={`revoke ${key.name}`}
          onClick={() => revoke(key)}
        >
          revoke
        </button>
      ),
    },
  ];
}

function useDomainNames(): (id: string) => string {
  const { user } = useSession();
  const { data } = useQuery({ ...domains.all(), enabled: user?.role !== "user" });
  const names = new Map(data?.map((d) => [d.id, d.name]));
  return (id) => names.get(id) ?? shortened(id);
}

function State({ apiKey, now }: { apiKey: ApiKey; now: number }) {
  return (
    <>
      <Status is={stateOf(apiKey, now)} />
      {apiKey.revoked_at !== null && (
        <>
          {" "}
          <Time at={apiKey.revoked_at} />
        </>
      )}
    </>
  );
}

const shown = 2;

/** The first of several words; the others after a click. */
function Several({ of, what, none }: { of: readonly string[]; what: string; none: string }): ReactNode {
  if (of.length === 0) {
    return none;
  }
  if (of.length <= shown) {
    return <code>{of.join(" ")}</code>;
  }
  return (
    <details>
      <summary>
        {of.length} {what}
      </summary>
      <code>{of.join(" ")}</code>
    </details>
  );
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const cache = useQueryClient();
  const toast = useToast();
  const revoke = useMutation({
    mutationFn: () => api.apiKeys.revoke(apiKey.id),
    onSuccess: () => {
      toast(`${apiKey.name} is revoked`);
      onClose();
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["apiKeys"] }),
  });
  return (
    <Confirm
      title={`Revoke the key “${apiKey.name}”?`}
      action="revoke the key"
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={revoke.mutate}
      onClose={onClose}
    >
      <p>
        Programs that use it are refused from now on, and it cannot be given back. It was last used:{" "}
        <Time at={apiKey.last_used_at} />.
      </p>
    </Confirm>
  );
}
