import type { CallOptions } from "./call.js";
import { EmailsApi } from "./generated/resources.gen.js";
import type { Email } from "./generated/types.gen.js";
import { MailserverTimeout } from "./problem.js";
import { sleep } from "./retry.js";

/** The states that an email does not leave any more. */
const finalStates: ReadonlySet<string> = new Set(["delivered", "bounced", "suppressed", "cancelled", "failed"]);

/** How long `wait` waits. */
export interface WaitOptions extends CallOptions {
  /** After how many milliseconds `wait` gives up with a {@link MailserverTimeout}; 60,000 when absent, Infinity for never. */
  withinMs?: number | undefined;
}

/** First and longest pause between two looks at an email, in milliseconds. */
const firstLook = 50;
const longestLook = 5_000;

/** Sending, and what became of what was sent. */
export class Emails extends EmailsApi {
  /**
   * Waits until every recipient of an email has a final result, and gives the email with the results. A bounce is a result, not
   * an error: see `status` and `recipients`.
   */
  async wait(emailId: string, options: WaitOptions = {}): Promise<Email> {
    const { withinMs = 60_000, ...call } = options;
    const end = Date.now() + withinMs;
    for (let pause = firstLook; ; pause = Math.min(pause * 1.6, longestLook)) {
      const email = await this.get(emailId, call);
      if (finalStates.has(email.status)) {
        return email;
      }
      const left = end - Date.now();
      if (left <= 0) {
        throw new MailserverTimeout(`email ${emailId} is still ${email.status} after ${withinMs} ms`);
      }
      await sleep(Math.min(pause, left), call.signal);
    }
  }
}
