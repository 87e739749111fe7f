import { Copy } from "./copy.js";

/** Code or a secret, to be copied. */
export function Sample({ code, what }: { code: string; what: string }) {
  return (
    <div className="sample">
      <Copy text={code} what={what} />
      <pre>
        <code>{code}</code>
      </pre>
    </div>
  );
}
