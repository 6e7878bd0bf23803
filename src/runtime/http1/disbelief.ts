/** How the listener of another node says what OpenSSL says by an alert: that it does not believe who called. */
import { ANSWERS } from "../failures.ts";
import { namedValue } from "./fields.ts";
import type { Head } from "./head.ts";

const UNPROVED_STATUS = ANSWERS["certificate-required"].status;
/** In the words of the log. */
const UNPROVED: ReadonlyMap<string, string> = new Map([
  [ANSWERS["certificate-required"].reason, "the other side demands a certificate"],
  [
    ANSWERS["certificate-not-believed"].reason,
    "the other side does not believe the certificate it was shown",
  ],
]);

/** Why it read nothing, of the first head on a connection with TLS; null for an answer to what was asked. */
export function disbeliefOf(head: Head): string | null {
  if (head.status !== UNPROVED_STATUS) return null;
  return UNPROVED.get(namedValue(head, "x-clearway-reason") ?? "") ?? null;
}
