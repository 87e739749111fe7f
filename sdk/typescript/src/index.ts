export { type Answer, answerOf, etagOf } from "./answer.js";
export type { CallOptions, ChangeOptions, Credential, KeyedOptions, ReadOptions } from "./call.js";
export type { Emails, WaitOptions } from "./emails.js";
export type { Events } from "./events.js";
export type { ProblemCode } from "./generated/codes.gen.js";
export type * from "./generated/types.gen.js";
export { createMailserver, type Mailserver, type MailserverOptions } from "./mailserver.js";
export { collect, type Page } from "./pages.js";
export {
  type ClientCode,
  isProblem,
  type KnownCode,
  MailserverProblem,
  MailserverTimeout,
  MailserverUnreachable,
} from "./problem.js";
export type { RetryPolicy } from "./retry.js";
export type { LedgerEvent, StatsTick, StreamBreak, StreamEvent, StreamOptions, StreamQuery, StreamReset, StreamState } from "./stream.js";
