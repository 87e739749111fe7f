// What the person chose for this browser. Never who they are: see session.ts.

/** For a browser that lets no page store anything: there a choice lasts as long as the page. */
const memory = new Map<string, string>();

export function recall(name: string): string | undefined {
  try {
    return localStorage.getItem(name) ?? undefined;
  } catch {
    return memory.get(name);
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    memory.set(name, value);
  }
}
