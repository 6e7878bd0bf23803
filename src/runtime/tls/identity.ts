/** Who a caller proved to be. */
import type { PeerCertificate } from "../../machine.ts";

/** The certificate's URI SAN, else its first DNS SAN, else its subject; null without a certificate. */
export function identityOf(peer: PeerCertificate | null | undefined): string | null {
  if (peer === null || peer === undefined) return null;
  return peer.uris[0] ?? peer.dnsNames[0] ?? peer.subject;
}
