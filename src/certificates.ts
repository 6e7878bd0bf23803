/** The nouns of certificates, types only: what a host reads of them, and what one proves in TLS. Part of machine.ts. */

/** Who the other side of a TLS connection proved to be. */
export interface PeerCertificate {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Its parts as RFC 4514 orders them, e.g. `CN=storefront,O=Store`. */
  readonly subject: string;
  /** Whether it may vouch for others (RFC 5280, section 4.2.1.9). */
  readonly isAuthority: boolean;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

/** Why the other side, whose certificate is believed, is unwanted all the same, in words; null when it is welcome. */
export type PeerJudge = (peer: PeerCertificate | null) => string | null;

/** What a TLS handshake agreed on and proved. */
export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** The protocol that ALPN chose (RFC 7301); null when the other side named none. */
  readonly alpn: string | null;
  /** Verified; null when none was shown, or none was asked for. */
  readonly peer: PeerCertificate | null;
}

/** PEM texts; null for what is not there. */
export interface TlsTexts {
  readonly certificate: string | null;
  readonly key: string | null;
  /** Who is believed; for a client, null means the host's own list. */
  readonly ca: string | null;
  readonly versionMin: "1.2" | "1.3";
}

/** Certificates made ready by a host, once, for many connections. */
export interface TlsContext {
  readonly native: unknown;
}

/** One X.509 certificate (RFC 5280). */
export interface CertificateFacts {
  /** DNS names and addresses of its subjectAltName, in lower case. */
  readonly names: readonly string[];
  readonly subject: string;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

/** Reads certificates and keys. Every call throws an Error that says what is wrong with the text. */
export interface Certificates {
  /** All certificates of a PEM text, in its order; never empty. */
  read(text: string): readonly CertificateFacts[];
  /** To which certificate of a PEM text a private key belongs: its place in `read`, or -1. */
  owner(text: string, key: string): number;
  /**
   * Whom the first certificate of `text` names, when the others lead from it to one of `authorities`. Whoever's dates do
   * not hold now is none of this function's business.
   */
  vouchedFor(text: string, authorities: string): PeerCertificate;
}
