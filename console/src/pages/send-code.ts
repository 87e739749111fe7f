// The request of the send page, and the programs that make the same one. What was typed may hold anything, so every string is
// written for its language; what cannot be seen is written as an escape, because terminals and editors change it.

import type { EmailSend, TagInput } from "@mailserver-dev/sdk";

/** What stands in the form. */
export interface Draft {
  from: string;
  to: string;
  cc: string;
  subject: string;
  text: string;
  html: string;
  tag: string;
}

/** The part of an email that the form can make. */
export interface SendRequest extends EmailSend {
  from: string;
  to?: string[];
  cc?: string[];
  tags?: TagInput[];
}

/** The request for a form; what is empty is left out. */
export function requestOf(draft: Draft): SendRequest {
  const to = splitAddresses(draft.to);
  const cc = splitAddresses(draft.cc);
  const tag = tagOf(draft.tag);
  const { subject, text, html } = draft;
  const request: SendRequest = {
    from: draft.from.trim(),
    ...(to.length > 0 && { to }),
    ...(cc.length > 0 && { cc }),
    ...(subject !== "" && { subject }),
    ...(text !== "" && { text }),
    ...(html !== "" && { html }),
    ...(tag !== undefined && { tags: [tag] }),
  };
  return wellFormed(request);
}

/** Half of a pair of UTF-16 is no text: no encoder writes it, so nobody could receive it. */
function wellFormed(request: SendRequest): SendRequest {
  return JSON.parse(
    JSON.stringify(request, (_, value) => (typeof value === "string" ? value.replace(/\p{Cs}/gu, "\ufffd") : value)),
  );
}

/** Addresses between commas, semicolons or line ends; a name in quotation marks may hold them. */
export function splitAddresses(text: string): string[] {
  const parts = text.match(/(?:"(?:\\.|[^"\\])*"|[^,;\n])+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** "kind=receipt" → {name: "kind", value: "receipt"}; "receipt" → {name: "receipt"}. */
function tagOf(text: string): TagInput | undefined {
  const [name = "", ...rest] = text.trim().split("=");
  const value = rest.join("=").trim();
  if (name.trim() === "" && value === "") {
    return undefined;
  }
  return value === "" ? { name: name.trim() } : { name: name.trim(), value };
}

/** The two variables that all three programs read, for a shell. */
export function environment(apiUrl: string, key = "ms_live_…"): string {
  return `export MAILSERVER_API_URL=${shell(apiUrl)}\nexport MAILSERVER_API_KEY=${shell(key)}`;
}

/** The request as a command for any POSIX shell. */
export function curl(request: SendRequest): string {
  return `curl -sS "$MAILSERVER_API_URL/emails" \\
  -H "Authorization: Bearer $MAILSERVER_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d ${shell(json(request))}`;
}

/** The request as a Go program, as gofmt would write it. */
export function go(request: SendRequest): string {
  const fields = [
    ["From", goString(request.from)],
    ["To", request.to && goStrings(request.to)],
    ["Cc", request.cc && goStrings(request.cc)],
    ["Subject", request.subject && goString(request.subject)],
    ["Text", request.text && goString(request.text)],
    ["HTML", request.html && goString(request.html)],
    ["Tags", request.tags && goTags(request.tags)],
  ] as const;
  return `package main

import (
	"context"
	"log"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

func main() {
	client, err := mailserver.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := client.Emails.Send(context.Background(), mailserver.EmailSend{
${aligned(fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))}
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Println(accepted.ID, accepted.Status)
}
`;
}

/** The request as a program in TypeScript without annotations: Node runs it as it is. */
export function typescript(request: SendRequest): string {
  const fields = Object.entries(request).map(([name, value]) => `  ${name}: ${tsValue(value)},\n`);
  return `import { createMailserver } from "@mailserver-dev/sdk";

const ms = createMailserver({
  url: process.env.MAILSERVER_API_URL ?? "",
  apiKey: process.env.MAILSERVER_API_KEY ?? "",
});
const { id, status } = await ms.emails.send({
${fields.join("")}});
console.log(id, status);
`;
}

/** Controls, format characters such as a change of direction, and separators of lines: nothing that a reader would see. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function units(character: string): string {
  return Array.from(character, (point) =>
    Array.from({ length: point.length }, (_, i) => `\\u${hex(point.charCodeAt(i), 4)}`).join(""),
  ).join("");
}

function hex(n: number, width: number): string {
  return n.toString(16).padStart(width, "0");
}

/** Everything between single quotes is itself in a shell, but a single quote. */
function shell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON with a line for each field. */
function json(request: SendRequest): string {
  const fields = Object.entries(request).map(([name, value]) => `  "${name}": ${quoted(value)}`);
  return `{\n${fields.join(",\n")}\n}`;
}

/** A string literal of JSON is one of TypeScript too. */
function quoted(value: unknown): string {
  return JSON.stringify(value).replace(unseen, units);
}

/** Whether a literal over several lines would show the text as it is. */
function isPlainBlock(text: string): boolean {
  return text.includes("\n") && text.replace(unseen, "").length === text.replace(/[\t\n]/g, "").length;
}

function tsValue(value: unknown): string {
  if (typeof value === "string") {
    return isPlainBlock(value) ? `\`${value.replace(/[\\`]|\$(?=\{)/g, "\\$&")}\`` : quoted(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(tsValue).join(", ")}]`;
  }
  const fields = Object.entries(value as TagInput).map(([name, text]) => `${name}: ${quoted(text)}`);
  return `{ ${fields.join(", ")} }`;
}

function goString(text: string): string {
  const shows = isPlainBlock(text) || (/["\\]/.test(text) && text.search(unseen) < 0);
  return shows && !text.includes("`") ? `\`${text}\`` : goQuoted(text);
}

/** Go knows the escapes of JSON, but one point of Unicode beyond 16 bits is not two of them. */
function goQuoted(text: string): string {
  return JSON.stringify(text).replace(unseen, (c) => (c.length > 1 ? `\\U${hex(c.codePointAt(0) ?? 0, 8)}` : units(c)));
}

function goStrings(list: readonly string[]): string {
  return `[]string{${list.map(goString).join(", ")}}`;
}

function goTags(tags: readonly TagInput[]): string {
  const one = ({ name, value }: TagInput) =>
    value === undefined ? `{Name: ${goQuoted(name)}}` : `{Name: ${goQuoted(name)}, Value: ${goQuoted(value)}}`;
  return `[]mailserver.Tag{${tags.map(one).join(", ")}}`;
}

/** Fields as gofmt sets them: the values of neighbours stand below each other, but one of several lines stands alone. */
function aligned(fields: readonly (readonly [string, string])[]): string {
  const runs: (readonly [string, string])[][] = [[]];
  for (const field of fields) {
    if (field[1].includes("\n")) {
      runs.push([field], []);
    } else {
      runs.at(-1)?.push(field);
    }
  }
  const lines = runs.flatMap((run) => {
    const width = Math.max(...run.map(([name]) => name.length)) + 1;
    return run.map(([name, value]) => `\t\t${`${name}:`.padEnd(width)} ${value},`);
  });
  return lines.join("\n");
}
