import { EventsApi } from "./generated/resources.gen.js";
import { type StreamEvent, type StreamOptions, streamOf, type StreamQuery } from "./stream.js";

/** What happened, and what happens. */
export class Events extends EventsApi {
  /**
   * Gives the events as they happen. It connects again by itself whenever the connection is lost, and goes on after the last event that
   * it gave. It ends when the loop over it is left, with the reason of the signal when that aborts, or with a problem that waiting does
   * not solve; it takes a signal to end it while it waits for the next event. What the loop does holds up the stream, and the server
   * leaves those who do not read for long.
   *
   * ```ts
   * for await (const event of ms.events.stream({ type: ["email.*"] }, { signal })) {
   *   if (event.kind === "event") console.log(event.type, event.data.subject);
   * }
   * ```
   *
   * `GET /v1/events/stream`
   */
  stream(query?: StreamQuery, options?: StreamOptions): AsyncGenerator<StreamEvent, void, undefined> {
    return streamOf(this.caller, query, options);
  }
}
