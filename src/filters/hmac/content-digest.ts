/** Whether a body is the one whose digests a field tells (RFC 9530, section 2). */
import { equalBytes } from "../who/digests.ts";

const algorithms = new Map([
  ["sha-256", "SHA-256"],
  ["sha-512", "SHA-512"],
]);

/** No unless at least one digest is of a known kind, and all of those fit. */
export async function digestFits(field: string, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const known = field.split(",").flatMap((member) => {
    const [, name = "", encoded = ""] = /^\s*([a-z0-9-]+)=:([A-Za-z0-9+/=]+):\s*$/.exec(member) ?? [];
    const algorithm = algorithms.get(name);
    return algorithm === undefined ? [] : [{ algorithm, wanted: Buffer.from(encoded, "base64") }];
  });
  if (known.length === 0 || known.length > algorithms.size) return false;
  for (const { algorithm, wanted } of known) {
    const digest = new Uint8Array(await crypto.subtle.digest(algorithm, body));
    if (!equalBytes(digest, wanted)) return false;
  }
  return true;
}
