import { Fragment } from "react";

/** An address, or a sender with a name, that breaks after the @ first when there is little room. */
export function Address({ of }: { of: string }) {
  return of.split("@").map((part, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text have no other name.
    <Fragment key={i}>
      {i > 0 && (
        <>
          @<wbr />
        </>
      )}
      {part}
    </Fragment>
  ));
}
