/** TLS as Bun, Node and Deno share it: contexts by `node:tls`, certificates of peers, and failures in words. */
import type { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { PeerCertificate, SocketError, TlsContext, TlsHandshake, TlsTexts } from "../../machine.ts";

/**
 * What TLS 1.2 may use: forward secrecy and authenticated encryption, nothing else (the "intermediate" list of
 * Mozilla's Server Side TLS 5.7, without DHE). TLS 1.3 has no other kind.
 */
const ciphers = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** What both sides offer by ALPN. */
export const alpnProtocols = ["http/1.1"];

/** As it stands in a ClientHello (RFC 7301, section 3.1). */
export const alpnWire: Buffer = Buffer.concat(
  alpnProtocols.map((name) => Buffer.from([name.length, ...Buffer.from(name)])),
);

/** Who takes a socket after its handshake; only a server's side tells a peer that it is not believed. */
export type SecuredTaker = Pick<TlsHandshake, "secured"> & Partial<Pick<TlsHandshake, "disbelieved">>;

/** See `Sockets.tlsContext`. */
export function tlsContext(
  { certificate, key, ca, versionMin }: TlsTexts,
  ofHost: SecureContextOptions = {},
): TlsContext {
  const native: SecureContext = createSecureContext({
    ...(certificate === null ? {} : { cert: certificate }),
    ...(key === null ? {} : { key }),
    ...(ca === null ? {} : { ca }),
    ciphers,
    honorCipherOrder: false,
    minVersion: `TLSv${versionMin}`,
    ...ofHost,
  });
  return { native };
}

export function peerCertificate(certificate: X509Certificate): PeerCertificate {
  const names = subjectNames(certificate.subjectAltName);
  return {
    uris: names.filter(([kind]) => kind === "URI").map(([, name]) => name),
    dnsNames: names.filter(([kind]) => kind === "DNS").map(([, name]) => name.toLowerCase()),
    subject: subjectText(certificate),
    isAuthority: certificate.ca,
    startsEpochMs: Date.parse(certificate.validFrom),
    expiresEpochMs: Date.parse(certificate.validTo),
  };
}

/** As RFC 4514 orders it; empty where there is none, which hosts tell in their own ways. */
export function subjectText({ subject }: X509Certificate): string {
  const lines = (subject as string | undefined) ?? "";
  return lines.split("\n").reverse().join(",");
}

/** A resumed session shows the certificate that it began with, and nobody looks at its dates again. */
export function hasEnded(certificate: X509Certificate): boolean {
  return Date.parse(certificate.validTo) <= Date.now();
}

/** For who is believed, and refused by a `PeerJudge`. */
export function tlsUnwanted(problem: string): SocketError {
  return { code: "ETLS", message: problem };
}

export const tlsOutlived: SocketError = {
  code: "ETLS",
  message: "its certificate is not believed: certificate has expired",
};

export const tlsUnproved: SocketError = {
  code: "ETLS",
  message: "the other side showed no certificate",
};

/**
 * The entries of a subjectAltName as OpenSSL prints it: `DNS:a, URI:b`. A name with a comma or a quote in it is printed
 * as a JSON string, so that it cannot pass for two (CVE-2021-44532).
 */
export function subjectNames(text: string | undefined): (readonly [kind: string, name: string])[] {
  const entries = (text ?? "").matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g);
  return [...entries].map(([, kind, name]) => [
    kind!,
    name!.startsWith('"') ? (JSON.parse(name!) as string) : name!,
  ]);
}

/** What happens every day, as OpenSSL and (in `plainly`) BoringSSL say it. */
const inWords: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/wrong version number|http request/, "the other side does not speak TLS"],
  [/peer did not return/, "the other side showed no certificate"],
  [/certificate required/, "the other side demands a certificate"],
  [/no application protocol|support any known protocol/, "the two sides share no protocol (ALPN)"],
  [/no shared cipher/, "the two sides share no cipher"],
  [
    /unsupported protocol|alert protocol version|supportedversionsextensionrequired/,
    "the two sides share no TLS version",
  ],
  [
    /alert (unknown ca|access denied|[a-z ]*certificate)/,
    "the other side does not believe the certificate it was shown",
  ],
];

/** TLSV1_ALERT_UNKNOWN_CA and tlsv1 alert unknown ca are the same; Deno says it in the code alone. */
function plainly({ code = "", message }: Error & { code?: string }): string {
  return `${code} ${message}`.toLowerCase().replaceAll("_", " ");
}

const otherName = "ERR_TLS_CERT_ALTNAME_INVALID";

/** Codes of OpenSSL's verification, e.g. CERT_HAS_EXPIRED, SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT. */
const disbelief =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_|ERROR_IN_CERT|HOSTNAME_MISMATCH|PATH_)/;

/** Whether a handshake's error says that all went well, but for whom the certificate names or who vouches for it. */
export function isDisbelief(error: (Error & { code?: string }) | null): boolean {
  return error !== null && (error.code === otherName || disbelief.test(error.code ?? ""));
}

/** Whether an error on a connection that stands is one of its TLS: an alert, or bytes that are not what they should be. */
export function isTlsBreak(error: Error & { code?: string }): boolean {
  return error.code === "EPROTO" || (error.code ?? "").startsWith("ERR_SSL_");
}

/** What the other side says of our part of the handshake, in TLS 1.3 after this side was through with it. */
const refusals = /alert ([a-z ]*certificate|unknown ca|access denied|handshake failure|decrypt error)/;

export function tlsBreak(error: Error): SocketError {
  return refusals.test(plainly(error)) ? tlsFailure(error) : { code: "EPROTO", message: error.message };
}

/** `error` as a handshake gives it; null when the connection just ended. */
export function tlsFailure(error: Error | null | undefined): SocketError {
  return { code: "ETLS", message: error ? failureWords(error) : "the connection ended in the handshake" };
}

function failureWords(error: Error & { code?: string }): string {
  const { code = "", message } = error;
  if (code === otherName) {
    return `its certificate is not for this name: ${message.slice(message.indexOf(": ") + 2)}`;
  }
  if (disbelief.test(code)) return `its certificate is not believed: ${message}`;
  const known = inWords.find(([pattern]) => pattern.test(plainly(error)));
  if (known !== undefined) return known[1];
  return code === "ECONNRESET" ? "the connection ended in the handshake" : `the handshake failed: ${message}`;
}
