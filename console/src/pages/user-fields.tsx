import type { User } from "@mailserver-dev/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { shortened } from "../format.js";
import { domains } from "../queries.js";
import { useSession } from "../session.js";
import { type SizeUnit, sizeUnits } from "../size.js";
import { Frame, Select } from "../ui/field.js";

export const roles = ["user", "admin", "owner"] as const;

const roleWords: Record<User["role"], string> = {
  user: "user: the own mailbox",
  admin: "admin: the domains that are ticked below, with their users",
  owner: "owner: the whole server",
};

interface RoleProps {
  role: User["role"];
  onRole: (role: User["role"]) => void;
}

/** Only owners give roles; to others it is shown. */
export function RoleField({ role, onRole }: RoleProps) {
  const owner = useSession().user?.role === "owner";
  return (
    <Select
      label="Role"
      name="role"
      location="body.role"
      value={role}
      disabled={!owner}
      hint={owner ? undefined : "Only owners give roles."}
      onChange={(e) => onRole(roles.find((word) => word === e.currentTarget.value) ?? "user")}
    >
      {roles.map((word) => (
        <option key={word} value={word}>
          {roleWords[word]}
        </option>
      ))}
    </Select>
  );
}

/** The domains of an admin. */
export function AdminDomains({ ticked = [] }: { ticked?: readonly string[] }) {
  const query = useInfiniteQuery(domains.list());
  const hosted = query.data?.pages.flatMap((page) => page.items) ?? [];
  const unknown = ticked.filter((id) => !hosted.some((domain) => domain.id === id));
  const all = [...hosted, ...unknown.map((id) => ({ id, name: shortened(id) }))];
  return (
    <fieldset>
      <legend>Domains of the admin</legend>
      {all.map(({ id, name }) => (
        <label key={id} className="check">
          <input type="checkbox" name="admin_domain_ids" value={id} defaultChecked={ticked.includes(id)} />
          {name}
        </label>
      ))}
      {query.hasNextPage && (
        <button type="button" className="small" onClick={() => void query.fetchNextPage()}>
          more domains
        </button>
      )}
    </fieldset>
  );
}

/** How much a mailbox may hold. */
export function QuotaField({ amount = "", unit = "GiB", hint }: { amount?: string; unit?: SizeUnit; hint?: string }) {
  return (
    <Frame label="Quota" location="body.quota_bytes" hint={hint}>
      {(ids) => (
        <span className="pair">
          <input {...ids} name="quota" type="number" min="0" step="any" inputMode="decimal" defaultValue={amount} />
          <select name="quota_unit" aria-label="Unit of the quota" defaultValue={unit}>
            {sizeUnits.map((word) => (
              <option key={word}>{word}</option>
            ))}
          </select>
        </span>
      )}
    </Frame>
  );
}
