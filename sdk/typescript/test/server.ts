import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

import { createMailserver, type Mailserver, type MailserverOptions } from "../src/index.js";

/** A request as the server got it. */
export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** How the server answers one request. */
export type Reply = (request: Seen, response: ServerResponse) => void;

/** A server on loopback whose nth request gets the nth reply, and the last one again after that. */
export interface Fake {
  ms: Mailserver;
  url: string;
  seen: Seen[];
  /** A client of the same server with other options. */
  client(options: Partial<MailserverOptions>): Mailserver;
}

/** Retries without noticeable pauses. */
export const quick = { baseDelayMs: 1, maxDelayMs: 2_000 };

/** Starts a server for one test; it ends with the test. */
export async function serve(t: TestContext, ...replies: Reply[]): Promise<Fake> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const entry = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString() };
      seen.push(entry);
      replies[Math.min(seen.length, replies.length) - 1]?.(entry, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = (options: Partial<MailserverOptions>) => createMailserver({ url, apiKey: "ms_live_x", retry: quick, ...options });
  return { ms: client({}), url, seen, client };
}

/** Answers with JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (_, response) => {
    response.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** Answers with a problem. */
export function problem(status: number, code: string, headers: Record<string, string> = {}, more: object = {}): Reply {
  const body = { type: `/problems/${code}`, title: "x", status, code, detail: `because of ${code}`, request_id: "req_1", ...more };
  return json(status, body, headers);
}

/** Closes the connection without a word. */
export const hangUp: Reply = (_, response) => response.destroy();

/** Never answers. */
export const silence: Reply = () => {};

export const domain = { id: "dom_1", name: "example.test", status: "verified", created_at: "2026-11-25T15:00:00Z", updated_at: "2026-11-25T15:00:00Z" };
