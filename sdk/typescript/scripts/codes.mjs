// Turns the problem codes of the contract into a type.
import { banner, comment } from "./text.mjs";

/** The text of codes.gen.ts. */
export function codesFile(document) {
  const { "x-extensible-enum": codes, "x-enum-descriptions": texts } = document.components.schemas.Problem.properties.code;
  if (!codes?.length || codes.length !== texts?.length) {
    throw new Error("the contract lists no problem codes with their texts: see Problem.code");
  }
  const lines = codes.map((code, i) => `  // ${texts[i]}\n  | ${JSON.stringify(code)}`);
  return `${banner}
${comment(["The codes that the contract knows. Each is explained at /problems/{code} of any server."])}
export type ProblemCode =
${lines.join("\n")};
`;
}
