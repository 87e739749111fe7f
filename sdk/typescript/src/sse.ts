/** One block of an event stream, as it came. */
export interface Block {
  /** The field `event`; empty when there was none. */
  type: string;
  /** The field `id`; undefined when there was none, empty when it had no value. */
  id: string | undefined;
  /** The fields `data`, joined by line feeds; undefined when there was none: such a block is no event. */
  data: string | undefined;
}

/** Most characters of a line, and of the data of one block. */
export const longest = 1 << 20;

/**
 * Takes an event stream apart (HTML Living Standard §9.2.6), whatever pieces it comes in. A block that its blank line does not end is
 * never given.
 */
export class SseParser {
  /** The last pause in milliseconds that the server asked for. */
  retry: number | undefined;
  // It removes a byte order mark, and keeps the beginning of a character for the next piece.
  readonly #decoder = new TextDecoder();
  #rest = "";
  #afterReturn = false;
  #type = "";
  #id: string | undefined;
  #data: string | undefined;

  /** Gives the blocks that a piece of the stream completes. It throws a RangeError when something is too long to be kept. */
  push(piece: Uint8Array): Block[] {
    let text = this.#decoder.decode(piece, { stream: true });
    if (text === "") {
      return [];
    }
    if (this.#afterReturn && text.startsWith("\n")) {
      text = text.slice(1);
    }
    this.#afterReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = bounded(lines.pop() ?? "");
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): Block | [] {
    if (line === "") {
      return this.#end();
    }
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (colon < 0 ? line : line.slice(0, colon)) {
      case "event":
        this.#type = bounded(value);
        break;
      case "data":
        this.#data = bounded(this.#data === undefined ? value : `${this.#data}\n${value}`);
        break;
      case "id":
        this.#id = value.includes("\0") ? this.#id : bounded(value);
        break;
      case "retry":
        this.retry = /^\d+$/.test(value) ? Number(value) : this.retry;
    }
    return [];
  }

  #end(): Block | [] {
    const block = { type: this.#type, id: this.#id, data: this.#data };
    this.#type = "";
    this.#id = this.#data = undefined;
    return block.id === undefined && block.data === undefined ? [] : block;
  }
}

function bounded(text: string): string {
  if (text.length > longest) {
    throw new RangeError(`the event stream has a line or an event of more than ${longest} characters`);
  }
  return text;
}
