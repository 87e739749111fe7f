// What the methods are called follows from the contract alone; these are the rules.
import assert from "node:assert/strict";
import { test } from "node:test";

import { codesFile } from "../scripts/codes.mjs";
import { camel, groupsOf, nameMethods, resourcesFile, singular } from "../scripts/resources.mjs";
import { comment } from "../scripts/text.mjs";

const named = (tag, ...ids) => {
  const operations = ids.map((id) => ({ id }));
  nameMethods(tag, operations);
  return operations.map((o) => o.method);
};

test("a method is the operation without the name of its group", () => {
  assert.deepEqual(named("domains", "listDomains", "createDomain", "getDomain"), ["list", "create", "get"]);
  assert.deepEqual(named("api-keys", "createApiKey", "revokeApiKey"), ["create", "revoke"]);
  assert.deepEqual(named("emails", "getEmailRaw", "listEmailEvents", "validateEmail"), ["getRaw", "listEvents", "validate"]);
  assert.deepEqual(named("queue", "listQueueEntries", "retryQueueEntry"), ["listEntries", "retryEntry"]);
  assert.deepEqual(named("mailboxes", "getMailbox", "listMailboxes"), ["get", "list"]);
});

test("another word than the group's stays", () => {
  assert.deepEqual(named("auth", "getMe", "createSession"), ["getMe", "createSession"]);
  assert.deepEqual(named("sink", "listSinkholes"), ["listSinkholes"]);
});

test("two operations never share a method", () => {
  assert.deepEqual(named("emails", "sendEmails", "sendEmail"), ["sendEmails", "send"]);
});

test("singular and camel", () => {
  assert.deepEqual(["Domains", "Mailboxes", "Entries", "Addresses", "Sink", "Address"].map(singular), ["Domain", "Mailbox", "Entry", "Address", "Sink", "Address"]);
  assert.equal(camel("api-keys"), "apiKeys");
  assert.equal(camel("sink_message_id"), "sinkMessageId");
});

const page = { type: "object", properties: { items: {}, next_cursor: {} } };
const answer = (schema) => ({ 200: { content: { "application/json": { schema } } }, 404: { $ref: "#/components/responses/NotFound" } });
const document = {
  security: [{ bearer: [] }],
  components: { schemas: { ThingPage: page }, parameters: { If: { in: "header", name: "If-Match" } }, responses: { NotFound: {} } },
  paths: {
    "/v1/things": { get: { operationId: "listThings", tags: ["things"], parameters: [{ in: "query", name: "of", required: true }], responses: answer({ $ref: "#/components/schemas/ThingPage" }) } },
    "/v1/things/{thing_id}/parts/{part}": {
      put: {
        operationId: "setThingPart", tags: ["things"], security: [{}], description: "Ends */ nothing.", deprecated: true,
        parameters: [{ $ref: "#/components/parameters/If" }, { in: "query", name: "x" }],
        requestBody: { content: {} }, responses: { 204: {} },
      },
    },
    "/v1/things/{thing_id}/file": {
      post: { operationId: "addThingFile", tags: ["things"], requestBody: { required: true, content: { "*/*": {} } }, responses: { 204: {} } },
    },
    "/v1/things/stream": { get: { operationId: "streamThings", tags: ["things"], responses: { 200: { content: { "text/event-stream": {} } } } } },
  },
};

test("arguments are the ids, what must be given, what may be given, the options", (t) => {
  t.mock.method(console, "error", () => {});
  const [things] = groupsOf(document);
  assert.deepEqual(things.operations.map((o) => o.method), ["list", "setPart", "addFile"]);
  const text = resourcesFile(document);
  assert.ok(text.includes('list(query: t.ListThingsData["query"], options?: CallOptions)'), text);
  assert.ok(text.includes('setPart(thingId: string, part: string, body?: t.SetThingPartData["body"], query?: t.SetThingPartData["query"], options?: ChangeOptions)'), text);
  assert.ok(text.includes('{ method: "PUT", open: true }'), text);
  assert.ok(text.includes("sdk.addThingFile({ ...typed(request, body), path: { thing_id: checkedId(\"thingId\", thingId) }, body })"), text);
  assert.ok(text.includes("@deprecated") && !text.includes("Ends */"), text);
});

test("a stream is left out, loudly when nobody wrote a reader for it", (t) => {
  const said = t.mock.method(console, "error", () => {});
  const stream = (operationId) => ({ get: { operationId, tags: ["events"], responses: { 200: { content: { "text/event-stream": {} } } } } });
  assert.deepEqual(groupsOf({ paths: { "/v1/events/stream": stream("streamEvents") } }), []);
  assert.equal(said.mock.callCount(), 0);
  assert.deepEqual(groupsOf({ paths: { "/v1/x": stream("streamOther") } }), []);
  assert.match(said.mock.calls[0].arguments[0], /^streamOther is a stream/);
});

test("a contract without its codes is refused", () => {
  assert.throws(() => codesFile({ components: { schemas: { Problem: { properties: { code: {} } } } } }), /Problem.code/);
});

test("comments keep the width", () => {
  const lines = comment(["word ".repeat(100)], "  ").split("\n");
  assert.ok(lines.length > 4 && lines.every((line) => line.length <= 123));
});
