const tones: Record<string, "good" | "bad" | "warn" | "quiet"> = {
  active: "good",
  verified: "good",
  delivered: "good",
  open: "good",
  live: "good",
  pending: "warn",
  deferred: "warn",
  held: "warn",
  paused: "warn",
  retiring: "warn",
  waiting: "warn",
  reconnecting: "warn",
  bounced: "bad",
  failed: "bad",
  suppressed: "bad",
  disabled: "bad",
  revoked: "bad",
  cancelled: "quiet",
  idle: "quiet",
  expired: "bad",
};

/** A state: a word first, its colour only beside it. */
export function Status({ is }: { is: string }) {
  return <span className={`status ${tones[is] ?? ""}`}>{is}</span>;
}
