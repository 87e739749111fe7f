// 32 characters, so that the last five bits of a random byte choose each of them equally often; none looks like another.
const letters = "abcdefghijkmnpqrstuvwxyz23456789";
const groups = 5;
const perGroup = 5;

/** A password of 125 random bits that can be read aloud: "k3m9x-…". */
export function makePassword(): string {
  const random = crypto.getRandomValues(new Uint8Array(groups * perGroup));
  const text = Array.from(random, (byte) => letters.charAt(byte % letters.length)).join("");
  return text.match(/.{5}/g)?.join("-") ?? text;
}
