// Turns the operations of the contract into one class for each tag. Everything follows from the contract, so that a new operation
// needs no line here: the group is the tag, the method's name is the operationId without the name of the group, the arguments are
// the ids of the path in their order, the body, the query and the options.
import { banner, comment } from "./text.mjs";

const verbs = ["get", "post", "put", "patch", "delete"];

/** Streams for which there is a reader, written by hand. */
const written = new Set(["streamEvents"]);

/** The text of resources.gen.ts. */
export function resourcesFile(document) {
  const groups = groupsOf(document);
  const any = (holds) => groups.some((g) => g.operations.some(holds));
  const values = [...(any((o) => o.ids.length > 0) ? ["checkedId"] : []), ...(any((o) => o.upload) ? ["typed"] : [])];
  const types = ["Caller", "CallOptions", ...["ChangeOptions", "KeyedOptions", "ReadOptions"].filter((name) => any((o) => o.options.includes(name)))];
  return `${banner}
import { ${[...values, ...types.map((name) => `type ${name}`)].join(", ")} } from "../call.js";
${any((o) => o.item) ? 'import { type Filters, type ItemOf, pages } from "../pages.js";\n' : ""}import * as sdk from "./sdk.gen.js";
import type * as t from "./types.gen.js";

${groups.map(classOf).join("\n")}
/** The groups of the API. */
export interface Resources {
${groups.map((g) => `  readonly ${g.property}: ${g.name};`).join("\n")}
}

/** Makes every group for one caller. */
export function resources(caller: Caller): Resources {
  return {
${groups.map((g) => `    ${g.property}: new ${g.name}(caller),`).join("\n")}
  };
}
`;
}

/** The groups in alphabetical order, each with its operations in the order of the contract. */
export function groupsOf(document) {
  const groups = new Map();
  const add = (tag) => groups.get(tag) ?? groups.set(tag, { tag, operations: [] }).get(tag);
  for (const [path, item] of Object.entries(document.paths)) {
    for (const verb of verbs.filter((v) => item[v])) {
      const operation = describe(document, path, verb, item[verb]);
      if (!operation.stream) {
        add(item[verb].tags[0]).operations.push(operation);
      } else if (!written.has(operation.id)) {
        console.error(`${operation.id} is a stream, which this client has no reader for: left out`);
      }
    }
  }
  const texts = new Map((document.tags ?? []).map((t) => [t.name, t.description]));
  return [...groups.values()].sort((a, b) => byLetters(a.tag, b.tag)).map(({ tag, operations }) => {
    nameMethods(tag, operations);
    return { name: `${pascal(tag)}Api`, property: camel(tag), text: texts.get(tag) ?? "", operations };
  });
}

/** What the generated method of an operation depends on. */
function describe(document, path, verb, operation) {
  const parameters = (operation.parameters ?? []).map((p) => resolve(document, p));
  const at = (place) => parameters.filter((p) => p.in === place);
  const header = (name) => at("header").some((p) => p.name === name);
  const answers = Object.entries(operation.responses).filter(([status]) => status.startsWith("2")).map(([, r]) => resolve(document, r));
  const media = answers.flatMap((r) => Object.entries(r.content ?? {}));
  const type = pascal(operation.operationId);
  return {
    id: operation.operationId, type, verb, path,
    text: [operation.summary ? `${operation.summary}.` : "", operation.description ?? "", operation.deprecated ? "@deprecated" : ""],
    ids: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    body: operation.requestBody && (resolve(document, operation.requestBody).required ? "required" : "optional"),
    query: at("query").length > 0 && (at("query").some((p) => p.required) ? "required" : "optional"),
    options: [
      ...(header("Idempotency-Key") ? ["KeyedOptions"] : []),
      ...(header("If-Match") ? ["ChangeOptions"] : []),
      ...(header("If-None-Match") ? ["ReadOptions"] : []),
    ],
    open: (operation.security ?? document.security ?? []).every((s) => Object.keys(s).length === 0),
    binary: media.length > 0 && media.every(([name]) => !name.includes("json")),
    upload: isUpload(operation.requestBody && resolve(document, operation.requestBody)),
    stream: media.some(([name]) => name === "text/event-stream"),
    item: isPage(document, media) && at("query").some((p) => p.name === "cursor"),
  };
}

/** Whether a body is bytes rather than JSON. */
function isUpload(body) {
  const media = Object.keys(body?.content ?? {});
  return media.length > 0 && media.every((name) => !name.includes("json"));
}

/** Whether an answer is a page: items and next_cursor. A list that takes no cursor is always on one page. */
function isPage(document, media) {
  const schema = media.length === 1 ? resolve(document, media[0][1].schema ?? {}) : {};
  return Boolean(schema.properties?.items && schema.properties?.next_cursor);
}

function resolve(document, value) {
  const found = value.$ref?.slice(2).split("/").reduce((at, key) => at[key], document);
  return found ?? value;
}

/**
 * Names the methods: createDomain is create of domains, getEmailRaw is getRaw of emails. Where two would have one name, the one with
 * the plural keeps its full id: of sendEmail and sendEmails the first is send.
 */
export function nameMethods(tag, operations) {
  const plural = pascal(tag);
  const taken = new Set();
  for (const noun of [singular(plural), plural]) {
    for (const operation of operations.filter((o) => !o.method)) {
      const short = shorten(operation.id, noun);
      if (short && !taken.has(short)) {
        taken.add((operation.method = short));
      }
    }
  }
  for (const operation of operations) {
    operation.method ??= operation.id;
  }
}

/** The operationId without the noun after its verb; undefined when another word stands there. */
function shorten(id, noun) {
  const [, verb, rest] = /^([a-z]+)(.*)$/.exec(id);
  return rest.startsWith(noun) && !/^[a-z]/.test(rest.slice(noun.length)) ? verb + rest.slice(noun.length) : undefined;
}

/** One of many: ApiKeys, Mailboxes, Entries, Addresses. */
export function singular(plural) {
  return plural.replace(/ies$/, "y").replace(/(x|ss|ch|sh)es$/, "$1").replace(/([^s])s$/, "$1");
}

export function pascal(name) {
  return name.replace(/(?:^|[-_])(\w)/g, (_, letter) => letter.toUpperCase());
}

export function camel(name) {
  const text = pascal(name);
  return text[0].toLowerCase() + text.slice(1);
}

function byLetters(a, b) {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1;
}

function classOf(group) {
  return `${comment([group.text])}
export class ${group.name} {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

${group.operations.flatMap((o) => [methodOf(o), ...(o.item ? [allOf(o)] : [])]).join("\n")}}
`;
}

/** One method for one operation. */
function methodOf(o) {
  const parts = [
    ...(o.ids.length > 0 ? [`path: { ${o.ids.map((id) => `${id}: checkedId("${camel(id)}", ${camel(id)})`).join(", ")} }`] : []),
    ...(o.body ? ["body"] : []),
    ...(o.query ? ["query"] : []),
  ];
  const flags = [
    `method: "${o.verb.toUpperCase()}"`,
    ...(o.options.includes("KeyedOptions") ? ["keyed: true"] : []),
    ...(o.open ? ["open: true"] : []),
    ...(o.binary ? ["binary: true"] : []),
    ...(o.upload ? ["upload: true"] : []),
  ];
  const first = o.upload ? "typed(request, body)" : "request";
  const request = parts.length > 0 ? `{ ...${first}, ${parts.join(", ")} }` : first;
  return `${comment([...o.text, `\`${o.verb.toUpperCase()} ${o.path}\``], "  ")}
  ${o.method}(${[...positional(o), ["options?", optionsOf(o)]].map(([name, type]) => `${name}: ${type}`).join(", ")}): Promise<t.${o.type}Response> {
    return this.caller.run({ ${flags.join(", ")} }, options, (request) => sdk.${o.id}(${request}));
  }
`;
}

/** The arguments before the options. A body or query that may be absent comes after everything that may not. */
function positional(o) {
  const optional = (kind) => (kind === "optional" ? "?" : "");
  const rest = [
    ...(o.body ? [[`body${optional(o.body)}`, `t.${o.type}Data["body"]`]] : []),
    ...(o.query ? [[`query${optional(o.query)}`, `t.${o.type}Data["query"]`]] : []),
  ];
  return [...o.ids.map((id) => [camel(id), "string"]), ...rest.sort(([a], [b]) => a.endsWith("?") - b.endsWith("?"))];
}

function optionsOf(o) {
  const named = o.options.map((name) => (name === "ReadOptions" ? `ReadOptions<t.${o.type}Response>` : name));
  return named.join(" & ") || "CallOptions";
}

/** The method that goes over all pages of a list. */
function allOf(o) {
  const ids = o.ids.map(camel);
  const args = [...ids.map((id) => `${id}: string`), `query?: Filters<t.${o.type}Data["query"]>`, "options?: CallOptions"].join(", ");
  const call = [...ids, "{ ...query, ...at }", "options"].join(", ");
  return `${comment([`Goes over all pages of \`${o.method}\`, asking for each when it is needed.`], "  ")}
  ${o.method.replace(/^[a-z]+/, "all")}(${args}): AsyncGenerator<ItemOf<t.${o.type}Response>, void, undefined> {
    return pages((at) => this.${o.method}(${call}));
  }
`;
}
