// Words and numbers as people read them. Everything is UTC and English, so that two admins see the same.

const count = new Intl.NumberFormat("en");
const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
const steps: readonly (readonly [limit: number, divisor: number, unit: string])[] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
];
const longest = [Number.POSITIVE_INFINITY, 86_400, "d"] as const;

/** 12345 → "12,345". */
export function number(n: number): string {
  return count.format(n);
}

/** 1536 → "1.5 KiB". */
export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  if (n === 1) {
    return "1 byte";
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "1 recipient", "2 recipients". */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** 125 → "2 min". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const [, divisor, unit] = steps.find(([limit]) => s < limit) ?? longest;
  return `${Math.floor(s / divisor)} ${unit}`;
}

/** How far a moment is from now: "3 min ago", "in 2 h", "now". */
export function relative(at: Date, now: Date): string {
  const seconds = (now.getTime() - at.getTime()) / 1000;
  if (Math.abs(seconds) < 1) {
    return "now";
  }
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

/** 2026-11-25 15:04:05 UTC. */
export function absolute(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A long id or key with its middle left out. */
export function shortened(text: string, most = 18): string {
  return text.length <= most ? text : `${text.slice(0, most - 6)}…${text.slice(-5)}`;
}
