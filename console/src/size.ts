// Sizes as people type and compare them. The API counts bytes.

import { bytes } from "./format.js";

const factors = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

export type SizeUnit = keyof typeof factors;

export const sizeUnits: readonly SizeUnit[] = ["MiB", "GiB", "TiB"];

/** 5368709120 → { amount: "5", unit: "GiB" }: in the largest unit that gives a number of few digits, else exactly in MiB. */
export function splitSize(size: number): { amount: string; unit: SizeUnit } {
  const unit = sizeUnits.findLast((u) => size >= factors[u] && Number.isInteger((size / factors[u]) * 10)) ?? "MiB";
  return { amount: String(size / factors[unit]), unit };
}

/** "5", "GiB" → 5368709120; NaN for what is no number. */
export function joinSize(amount: string, unit: string): number {
  const known = sizeUnits.find((u) => u === unit);
  return amount.trim() === "" || known === undefined ? Number.NaN : Math.round(Number(amount) * factors[known]);
}

/** 1288490188, 5368709120 → "1.2 of 5 GiB"; the first unit is there when it is another: "1.8 KiB of 5 GiB". */
export function usage(used: number, quota: number): string {
  const [amount, unit] = plain(used).split(" ");
  const whole = plain(quota);
  return used === 0 || whole.endsWith(` ${unit}`) ? `${amount} of ${whole}` : `${amount} ${unit} of ${whole}`;
}

function plain(size: number): string {
  return bytes(size).replace(".0 ", " ");
}
