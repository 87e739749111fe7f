import type { Live } from "../live.js";
import { Status } from "./status.js";
import { Time } from "./time.js";

/** Says whether the page moves by itself. */
export function LiveNote({ live }: { live: Live }) {
  return (
    <p className="live" role="status">
      {live.state === "reconnecting" ? (
        <>
          <Status is="reconnecting" />, data from <Time at={live.since} />
        </>
      ) : (
        <Status is={live.state === "open" ? "live" : "connecting"} />
      )}
    </p>
  );
}
