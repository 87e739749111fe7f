import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { bytes } from "../format.js";
import { api } from "../session.js";
import { Loading } from "../ui/listing.js";
import { ProblemNote } from "../ui/problem.js";

/** How much of a letter is shown; all of it can be downloaded. */
const shownBytes = 256 << 10;

/** The bytes of an email as text; nothing in them is ever rendered. They are read when they are asked for. */
export function Raw({ id, size }: { id: string; size: number }) {
  const [shown, setShown] = useState(false);
  return (
    <>
      <p className="actions">
        <button type="button" aria-expanded={shown} onClick={() => setShown(!shown)}>
          {shown ? "hide raw" : "view raw"}
        </button>
        <span className="quiet">{bytes(size)}</span>
      </p>
      {shown && <Bytes id={id} />}
    </>
  );
}

function Bytes({ id }: { id: string }) {
  const query = useQuery({
    queryKey: ["raw", id],
    queryFn: ({ signal }) => read(id, signal),
    gcTime: 0, // a letter may be large
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (query.data === undefined) {
    return query.isPending ? (
      <Loading what="the raw email" />
    ) : (
      <ProblemNote error={query.error} retry={() => void query.refetch()} />
    );
  }
  const { blob, text } = query.data;
  return (
    <>
      <p className="actions">
        <button type="button" onClick={() => download(blob, `${id}.eml`)}>
          download
        </button>
        {blob.size > shownBytes && (
          <span className="quiet">
            The first {bytes(shownBytes)} of {bytes(blob.size)} are shown.
          </span>
        )}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard. */}
      <section className="scroll" aria-label="Raw email" tabIndex={0}>
        <pre>{text}</pre>
      </section>
    </>
  );
}

async function read(id: string, signal: AbortSignal): Promise<{ blob: Blob; text: string }> {
  const blob = await api.emails.getRaw(id, { signal });
  return { blob, text: await blob.slice(0, shownBytes).text() };
}

const kept = 60_000;

/** Gives the bytes to the browser as a file. */
function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(new Blob([blob], { type: "message/rfc822" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), kept);
}
