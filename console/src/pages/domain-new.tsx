import type { DomainCreate } from "@mailserver-dev/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { oneOf } from "../match.js";
import { api, useSession } from "../session.js";
import { Field, Form, Select, textOf } from "../ui/field.js";
import { useToast } from "../ui/toast.js";

const choices = ["both", "rsa", "ed25519", "none"] as const;

const words: Record<(typeof choices)[number], string> = {
  both: "RSA and Ed25519 (recommended)",
  rsa: "RSA alone",
  ed25519: "Ed25519 alone",
  none: "none: mail goes out unsigned",
};

export default function DomainNewPage() {
  const create = useCreate();
  const owner = useSession().user?.role === "owner";
  return (
    <>
      <h1>Add a domain</h1>
      <p>After this you see the DNS records that make the world send the domain's mail here.</p>
      <Form
        label="Add a domain"
        submit="add the domain"
        busy={create.isPending}
        error={create.error}
        onSubmit={create.mutate}
        unable={owner ? undefined : "Only the owner adds domains."}
        aside={<Link to="/domains">back to the list</Link>}
      >
        <Field
          label="Name"
          name="name"
          location="body.name"
          hint="The part of the addresses after the @, such as example.test."
          required
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <Select
          label="DKIM keys"
          name="dkim"
          location="body.dkim"
          hint="They sign the domain's mail. Every receiver knows RSA; Ed25519 is short and newer. Others can be made or imported later."
          defaultValue="both"
        >
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {words[choice]}
            </option>
          ))}
        </Select>
      </Form>
      <p className="quiet">From a shell:</p>
      <pre>mailserver domain create example.test</pre>
    </>
  );
}

function useCreate() {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  return useMutation({
    mutationFn: (fields: FormData) => {
      const body: DomainCreate = { name: textOf(fields, "name"), dkim: oneOf(choices, textOf(fields, "dkim")) };
      return api.domains.create(body);
    },
    onSuccess: async (domain) => {
      await cache.invalidateQueries({ queryKey: ["domains"] });
      toast(`${domain.name} is added`);
      await navigate({ to: "/domains/$id", params: { id: domain.id } });
    },
  });
}
