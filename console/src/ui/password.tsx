import { useState } from "react";
import { makePassword } from "../password.js";
import { Copy } from "./copy.js";
import { Frame } from "./field.js";

interface PasswordProps {
  label: string;
  name: string;
  location: string;
}

/** A new password, typed or made up here; one that was made up is shown as long as the form is there. */
export function NewPassword({ label, name, location }: PasswordProps) {
  const [text, setText] = useState("");
  const [made, setMade] = useState("");
  const make = () => {
    const fresh = makePassword();
    setText(fresh);
    setMade(fresh);
  };
  return (
    <>
      <Frame label={label} location={location} hint="At least 12 characters; a few words are fine.">
        {(ids) => (
          <input
            {...ids}
            name={name}
            type="password"
            autoComplete="new-password"
            required
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
          />
        )}
      </Frame>
      <p className="actions">
        <button type="button" onClick={make}>
          make one
        </button>
        <span role="status">
          {made !== "" && made === text && (
            <>
              <code>{made}</code> <Copy text={made} what="the password" /> Keep it now: it is shown this once.
            </>
          )}
        </span>
      </p>
    </>
  );
}
