import { useState } from "react";

const shownFor = 1_500;

/** A button that puts the text on the clipboard and says so. */
export function Copy({ text, what, children = "copy" }: { text: string; what: string; children?: string }) {
  const [done, setDone] = useState<"copied" | "not copied">();
  const copy = async () => {
    setDone((await toClipboard(text)) ? "copied" : "not copied");
    setTimeout(() => setDone(undefined), shownFor);
  };
  return (
    <button type="button" className="small" aria-label={`copy ${what}`} onClick={() => void copy()}>
      <span aria-live="polite">{done ?? children}</span>
    </button>
  );
}

/** Browsers give the clipboard to secure pages only; on others a selection is copied the old way. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
