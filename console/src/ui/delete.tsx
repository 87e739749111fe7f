import type { UseMutationResult } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Confirm } from "./dialog.js";

interface DeleteProps {
  /** What kind of thing it is: "domain". */
  what: string;
  /** Its name, which has to be typed. */
  name: string;
  /** Why it cannot be deleted now; undefined when it can. */
  whyNot: string | undefined;
  remove: UseMutationResult<void, Error, void>;
  /** What follows from it. */
  children: ReactNode;
}

/** The last section of an object's page: deletes it for ever, after its name was typed. */
export function DeleteSection({ what, name, whyNot, remove, children }: DeleteProps) {
  const [asked, setAsked] = useState(false);
  const action = `delete the ${what}`;
  return (
    <section aria-label="Delete">
      <h2>Delete</h2>
      <p className="actions">
        <button
          type="button"
          className="danger"
          disabled={whyNot !== undefined}
          title={whyNot}
          onClick={() => setAsked(true)}
        >
          {action}
        </button>
        {whyNot !== undefined && <span className="quiet">{whyNot}</span>}
      </p>
      {asked && (
        <Confirm
          title={`Delete ${name}?`}
          action={action}
          typed={name}
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
          onClose={() => {
            setAsked(false);
            remove.reset();
          }}
        >
          <p>{children}</p>
        </Confirm>
      )}
    </section>
  );
}
