import { useQuery } from "@tanstack/react-query";
import { shortened } from "../format.js";
import { domains } from "../queries.js";
import { Choice } from "../ui/search.js";

interface DomainChoiceProps {
  value: string | undefined;
  onChoose: (id: string | undefined) => void;
}

/** A filter by a domain, by name. */
export function DomainChoice({ value, onChoose }: DomainChoiceProps) {
  const { data = [] } = useQuery(domains.all());
  const named = data.toSorted((a, b) => a.name.localeCompare(b.name));
  return (
    <Choice label="Domain" value={value} onChoose={onChoose} options={[]}>
      {named.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
      {value !== undefined && !named.some(({ id }) => id === value) && (
        <option value={value}>{shortened(value)}</option>
      )}
      {named.length >= domains.most && <option disabled>older ones: from the domain's page</option>}
    </Choice>
  );
}
