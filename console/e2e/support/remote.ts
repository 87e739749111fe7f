import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A letter that another mail server has taken. */
export interface Letter {
  from: string;
  to: string[];
  /** As it came, with the lines' CRLF. */
  text: string;
}

/**
 * A mail server of somebody else: it says "try again later" about everybody whom it was not told to accept, and keeps what comes for
 * the others. It speaks as much SMTP as a delivery needs (RFC 5321), without extensions.
 */
export class RemoteServer {
  readonly letters: Letter[] = [];
  readonly #known = new Set<string>();
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<RemoteServer> {
    const remote = new RemoteServer();
    await new Promise<void>((ready, failed) => {
      remote.#server.once("error", failed);
      remote.#server.listen(0, "127.0.0.1", ready);
    });
    return remote;
  }

  /** Where it listens: address:port. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  /** From now on it takes mail for this address. */
  accept(address: string): void {
    this.#known.add(address);
  }

  /** What has come for an address. */
  lettersTo(address: string): Letter[] {
    return this.letters.filter(({ to }) => to.includes(address));
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) {
      socket.destroy();
    }
    await new Promise((ended) => this.#server.close(ended));
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#open.delete(socket));
    const session = new Session(
      (line) => socket.write(`${line}\r\n`),
      (to) => this.#known.has(to),
      (letter) => this.letters.push(letter),
    );
    let rest = "";
    socket.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (session.line(line)) {
          socket.end();
        }
      }
    });
    socket.write("220 elsewhere.example ESMTP\r\n");
  }
}

class Session {
  #letter: Letter = { from: "", to: [], text: "" };
  #inData = false;

  constructor(
    private readonly say: (line: string) => void,
    private readonly knows: (to: string) => boolean,
    private readonly keep: (letter: Letter) => void,
  ) {}

  /** Answers a line; true when it was the last. */
  line(line: string): boolean {
    if (this.#inData) {
      this.#data(line);
      return false;
    }
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case "EHLO":
      case "HELO":
        this.say("250 elsewhere.example");
        break;
      case "MAIL":
        this.#letter = { from: address(line), to: [], text: "" };
        this.say("250 2.1.0 go on");
        break;
      case "RCPT":
        this.#recipient(address(line));
        break;
      case "DATA":
        this.#inData = this.#letter.to.length > 0;
        this.say(this.#inData ? "354 end with a dot" : "503 5.5.1 nobody to give it to");
        break;
      case "QUIT":
        this.say("221 2.0.0 bye");
        return true;
      default:
        this.say(verb === "RSET" || verb === "NOOP" ? "250 2.0.0 fine" : "502 5.5.1 unknown");
    }
    return false;
  }

  #recipient(to: string): void {
    if (this.knows(to)) {
      this.#letter.to.push(to);
      this.say("250 2.1.5 known");
    } else {
      this.say("451 4.3.0 come back later");
    }
  }

  #data(line: string): void {
    if (line !== ".") {
      this.#letter.text += `${line.replace(/^\./, "")}\r\n`;
      return;
    }
    this.#inData = false;
    this.keep(this.#letter);
    this.say("250 2.0.0 taken");
  }
}

function address(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? "";
}
