// Draws the API reference from /openapi.json. Everything is put in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

// el makes an element with attributes and children, which are elements or text.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    node.setAttribute(key, value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return node;
}

function json(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

// resolve follows a reference within the document.
function resolve(doc, thing) {
  if (!thing || !thing.$ref) {
    return thing;
  }
  const target = thing.$ref.slice(2).split("/").reduce((at, key) => at && at[key], doc);
  return resolve(doc, target);
}

function schemaLink(ref) {
  const name = ref.split("/").pop();
  return el("a", { href: "#schema-" + name }, name);
}

// typeOf says in words what a schema allows.
function typeOf(schema) {
  if (!schema) {
    return [];
  }
  if (schema.$ref) {
    return [schemaLink(schema.$ref)];
  }
  if (schema.oneOf) {
    return schema.oneOf.flatMap((one, i) => (i ? [" or ", ...typeOf(one)] : typeOf(one)));
  }
  const types = [].concat(schema.type || "any");
  if (types.includes("array")) {
    return ["list of ", ...typeOf(schema.items)];
  }
  if (types.includes("object") && schema.additionalProperties && schema.additionalProperties !== true) {
    return ["map of ", ...typeOf(schema.additionalProperties)];
  }
  const limits = [];
  for (const [key, word] of [["minLength", "≥"], ["maxLength", "≤"], ["minimum", "≥"], ["maximum", "≤"], ["maxItems", "≤"]]) {
    if (schema[key] !== undefined) {
      limits.push(word + " " + schema[key]);
    }
  }
  let text = types.join(" or ");
  if (schema.format) {
    text += " (" + schema.format + ")";
  }
  if (schema.enum) {
    text += ": " + schema.enum.map(String).join(", ");
  }
  if (limits.length) {
    text += ", " + limits.join(", ");
  }
  return [text];
}

function table(headings, rows) {
  return el("table", {},
    el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, [].concat(cell)))))));
}

function fieldRows(schema) {
  const required = new Set(schema.required || []);
  return Object.entries(schema.properties || {}).map(([name, field]) => [
    [el("code", {}, name), required.has(name) ? "" : el("span", { class: "note" }, " optional")],
    typeOf(field),
    field.description || "",
  ]);
}

function parameters(op) {
  const list = op.parameters || [];
  if (!list.length) {
    return null;
  }
  return [el("h4", {}, "Parameters"), table(["name", "type", "meaning"], list.map((p) => [
    [el("code", {}, p.name), el("span", { class: "note" }, " " + p.in + (p.required ? "" : ", optional"))],
    typeOf(p.schema),
    p.description || "",
  ]))];
}

function requestBody(op) {
  if (!op.requestBody) {
    return null;
  }
  const [type, media] = Object.entries(op.requestBody.content).sort()[0];
  return [el("h4", {}, "Body ", el("span", { class: "note" }, Object.keys(op.requestBody.content).sort().join(" or "))),
    el("p", {}, typeOf(media.schema), " ", op.requestBody.description || ""),
    el("pre", { tabindex: "0", "aria-label": "Example of the body, " + type }, json(media.example))];
}

function responses(doc, op) {
  const good = [];
  const problems = [];
  const examples = [];
  for (const [status, raw] of Object.entries(op.responses)) {
    const answer = resolve(doc, raw);
    const meaning = [answer.description || "", headersOf(answer)];
    if (answer.content && answer.content["application/problem+json"]) {
      problems.push([el("code", {}, status), meaning]);
      continue;
    }
    const types = Object.entries(answer.content || {});
    good.push([el("code", {}, status), types.flatMap(([name, media]) => (media.schema.$ref ? typeOf(media.schema) : [name])), meaning]);
    for (const [name, media] of types) {
      examples.push(el("details", {}, el("summary", {}, "Example of the answer"),
        el("pre", { tabindex: "0", "aria-label": "Example of the answer, " + name }, json(media.example))));
    }
  }
  return [el("h4", {}, "Answers"), table(["status", "body", "meaning"], good), examples,
    el("details", {}, el("summary", {}, "Problems: ", problems.map(([status]) => status.textContent).join(" ")), table(["status", "meaning"], problems))];
}

function headersOf(answer) {
  const names = Object.keys(answer.headers || {}).filter((name) => name !== "Request-Id");
  return names.length ? el("span", { class: "note" }, " Headers: " + names.join(", ") + ".") : null;
}

// quote makes text safe for a shell.
function quote(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function curl(op, method, path) {
  const filled = path.replace(/\{(\w+)\}/g, (whole, name) => {
    const parameter = (op.parameters || []).find((p) => p.in === "path" && p.name === name);
    return parameter?.schema?.examples?.[0] ?? whole;
  });
  const parts = ["curl -s"];
  if (method !== "get") {
    parts.push("-X " + method.toUpperCase());
  }
  parts.push(quote(location.origin + filled));
  if (!(op.security && op.security.some((one) => !Object.keys(one).length))) {
    parts.push('-H "Authorization: Bearer $KEY"');
  }
  if (op.requestBody) {
    parts.push("-H 'Content-Type: application/json' -d " + quote(JSON.stringify(op.requestBody.content["application/json"].example)));
  }
  return parts.join(" ");
}

function operation(doc, { op, method, path }) {
  const scope = op["x-required-scope"];
  const open = op.security && op.security.some((one) => !Object.keys(one).length);
  const credential = open ? "No credential." : scope ? "Scope " + scope + "." : "Any credential.";
  return el("section", { class: "operation", id: op.operationId },
    el("h3", {}, el("span", { class: "method" }, method.toUpperCase()), el("code", {}, path), " ", op.summary),
    el("p", {}, op.description || "", " ", el("span", { class: "note" }, credential + " Operation " + op.operationId + ".")),
    el("pre", { tabindex: "0", "aria-label": "Command" }, curl(op, method, path)),
    parameters(op), requestBody(op), responses(doc, op));
}

function listOperations(doc) {
  const list = [];
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of METHODS) {
      if (item[method]) {
        list.push({ op: item[method], method, path });
      }
    }
  }
  return list;
}

function draw(doc) {
  const all = listOperations(doc);
  document.getElementById("about").textContent = doc.info.description + " Version " + doc.info.version + ". Set KEY to an API key before you use the commands.";
  const contents = document.getElementById("contents");
  const operations = document.getElementById("operations");
  for (const tag of doc.tags) {
    const mine = all.filter(({ op }) => op.tags.includes(tag.name));
    if (!mine.length) {
      continue;
    }
    contents.append(el("details", { open: "" }, el("summary", {}, tag.name),
      el("ul", {}, mine.map(({ op, method, path }) => el("li", { "data-for": op.operationId },
        el("a", { href: "#" + op.operationId }, op.summary), " ", el("span", { class: "note" }, method.toUpperCase() + " " + path))))));
    operations.append(el("div", { class: "tag" }, el("h2", { id: "tag-" + tag.name }, tag.name), el("p", {}, tag.description),
      mine.map((one) => operation(doc, one))));
  }
  const schemas = document.getElementById("schemas");
  for (const [name, schema] of Object.entries(doc.components.schemas)) {
    const rows = fieldRows(schema);
    schemas.append(el("section", { class: "schema", id: "schema-" + name }, el("h3", {}, name), el("p", {}, schema.description || ""),
      rows.length ? table(["field", "type", "meaning"], rows) : el("p", {}, typeOf(schema))));
  }
}

// filter hides what does not have the word.
function filter(word) {
  const wanted = word.trim().toLowerCase();
  for (const section of document.querySelectorAll("section.operation")) {
    section.hidden = !section.textContent.toLowerCase().includes(wanted);
    const entry = document.querySelector('[data-for="' + section.id + '"]');
    entry.hidden = section.hidden;
  }
  for (const section of document.querySelectorAll("section.schema")) {
    section.hidden = !section.textContent.toLowerCase().includes(wanted);
  }
  for (const tag of document.querySelectorAll("div.tag")) {
    tag.hidden = !tag.querySelector("section:not([hidden])");
  }
  for (const group of document.querySelectorAll("#contents details")) {
    group.hidden = !group.querySelector("li:not([hidden])");
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) {
      throw new Error("status " + answer.status);
    }
    draw(await answer.json());
  } catch (error) {
    state.textContent = "The document could not be loaded (" + error.message + "). Reload the page to try again.";
    return;
  }
  state.hidden = true;
  document.getElementById("reference").hidden = false;
  document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
  const anchor = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (anchor) {
    anchor.scrollIntoView();
  }
}

start();
