import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";

// SERVER=path tests another build.
const binary = process.env.SERVER ?? fileURLToPath(new URL("../../../bin/mailserver", import.meta.url));
const patience = 60_000;
const listeners = ["SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "HTTP", "HTTPS"];

interface Login {
  email: string;
  password: string;
}

/** What the server writes into dev.json, as far as the tests need it. */
export interface Running {
  domain: string;
  api_url: string;
  console_url: string;
  owner: Login;
  api_key: string;
  users: Login[];
}

/** A `mailserver dev` of its own: fresh data, free ports, gone at the end. */
export class MailServer {
  private constructor(
    readonly info: Running,
    private readonly process: ChildProcess,
    private readonly folder: string,
    private readonly said: string[],
  ) {}

  static async start(environment: Record<string, string>): Promise<MailServer> {
    const folder = mkdtempSync(join(tmpdir(), "mailserver-browser-"));
    letPass(folder);
    const child = spawn(binary, ["dev", "--data", "data", "--seed", "none"], {
      cwd: folder,
      env: { ...process.env, ...(await freePorts()), ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said: string[] = [];
    child.stderr.on("data", (text) => said.push(String(text)));
    try {
      await ready(child);
      const info = JSON.parse(readFileSync(join(folder, "data", "dev.json"), "utf8")) as Running;
      return new MailServer(info, child, folder, said);
    } catch (e) {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`${e instanceof Error ? e.message : e}\n${said.join("")}`);
    }
  }

  /** What the server has logged. */
  get log(): string {
    return this.said.join("");
  }

  /** Calls the API as the owner's key; a failure is thrown with the server's words. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(this.info.api_url + path, {
      method,
      headers: { authorization: `Bearer ${this.info.api_key}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    }
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Waits until something that the test itself does not cause has happened. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + patience;
    while (!(await holds())) {
      if (Date.now() > end) {
        throw new Error(`waited ${patience} ms in vain: ${what}\n${this.log}`);
      }
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }

  /** Ends the server, by its own process id, and takes its data away. */
  async stop(): Promise<void> {
    await end(this.process);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for the last line of what the server prints when it is ready, and reads on so that it never waits for us. */
async function ready(child: ChildProcess): Promise<void> {
  await new Promise<void>((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`the server was not ready in ${patience} ms`)), patience);
    let text = "";
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      if (/^Read it:\n(.+\n)+\n/m.test(text)) {
        clearTimeout(timer);
        done();
      }
    });
    child.once("error", failed);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      failed(new Error(`the server ended before it was ready: ${code ?? signal}`));
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await gone;
  clearTimeout(timer);
}

/** Started by root, the private PostgreSQL runs as another account, which must be able to pass through the folders. */
function letPass(folder: string): void {
  for (let at = folder; at !== tmpdir() && at !== parse(at).root; at = dirname(at)) {
    chmodSync(at, 0o755);
  }
}

/** A port of its own for each listener. All are held until all are known, so that none is given twice. */
async function freePorts(): Promise<Record<string, string>> {
  const held = listeners.map(() => createServer().listen(0, "127.0.0.1"));
  await Promise.all(held.map((server) => once(server, "listening")));
  const found = held.map((server, i): [string, string] => {
    const { port } = server.address() as AddressInfo;
    return [`MAILSERVER_LISTEN_${listeners[i]}`, `127.0.0.1:${port}`];
  });
  await Promise.all(held.map((server) => once(server.close(), "close")));
  return Object.fromEntries(found);
}
