// What both generated files of our own begin with, and how their comments look.
export const banner = "// Written by `npm run generate` from openapi/openapi.yaml. Do not edit.\n";

/** A doc comment of the paragraphs, indented by the spaces. */
export function comment(paragraphs, indent = "") {
  const lines = paragraphs.filter(Boolean).flatMap((p, i) => [...(i > 0 ? [""] : []), ...wrap(p, 118 - indent.length)]);
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n");
}

/** The text in lines of at most `width` characters where words allow it; nothing in it ends the comment. */
function wrap(text, width) {
  const lines = [""];
  for (const word of text.replaceAll("*/", "* /").split(/\s+/).filter(Boolean)) {
    const last = lines[lines.length - 1];
    if (last !== "" && last.length + 1 + word.length > width) {
      lines.push(word);
    } else {
      lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
    }
  }
  return lines;
}
