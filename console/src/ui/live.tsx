import type { Live } from "../live.js";
import { Status } from "./status.js";
import { Time } from "./time.js";

/** Says whether the page moves by itself. */
export function LiveNote({ live }: { live: Live }) {
  return (
    <p className="live">
      {/* The state is told when it changes; the age, which changes every five seconds, only to who looks. */}
      <span role="status">
        <Status is={live.state === "open" ? "live" : live.state} />
      </span>
      {live.state === "reconnecting" && (
        <>
          , data from <Time at={live.since} />
        </>
      )}
    </p>
  );
}
