import { useState } from "react";

const shownFor = 1_500;

/** A button that puts the text on the clipboard and says so. */
export function Copy({ text, what, children = "copy" }: { text: string; what: string; children?: string }) {
  const [done, setDone] = useState<"copied" | "not copied">();
  const copy = async (button: HTMLElement) => {
    setDone((await toClipboard(text, button)) ? "copied" : "not copied");
    setTimeout(() => setDone(undefined), shownFor);
  };
  return (
    <button type="button" className="small" aria-label={`copy ${what}`} onClick={(e) => void copy(e.currentTarget)}>
      <span aria-live="polite">{done ?? children}</span>
    </button>
  );
}

/** Browsers give the clipboard to secure pages only; on others a selection is copied the old way. */
async function toClipboard(text: string, button: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    // Beside the button, because outside of an open dialog nothing can be selected.
    button.after(area);
    area.focus();
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    button.focus();
    return copied;
  }
}
