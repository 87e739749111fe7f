// What a search box means. Parts of an address or a name are looked for in what was read; a whole one the API finds wherever it is.

export interface Match {
  has: (text: string) => boolean;
  /** What the API can be asked for when nothing that was read has it. */
  whole: string | undefined;
}

function match(wanted: string | undefined, form: RegExp): Match {
  const low = wanted?.toLowerCase() ?? "";
  return {
    has: (text) => text.toLowerCase().includes(low),
    whole: wanted !== undefined && form.test(wanted) ? wanted : undefined,
  };
}

/** "alice@demo.test" is whole; "ali" and "@demo.test" are parts. */
export function matchAddress(wanted: string | undefined): Match {
  return match(wanted, /^[^@\s]+@[^@\s./]+(\.[^@\s./]+)+$/);
}

/** "demo.test" is whole; "demo" and ".test" are parts. */
export function matchName(wanted: string | undefined): Match {
  return match(wanted, /^[^@\s./]+(\.[^@\s./]+)+$/);
}

/** One of the words, if the text is one. */
export function oneOf<W extends string>(words: readonly W[], text: string | undefined): W | undefined {
  return words.find((word) => word === text);
}
