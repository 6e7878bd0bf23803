/**
 * TLS over the sockets of `node:net`: its two sides, and what a handshake proved. Not a `tls.Server`: it makes contexts of
 * its own, and does not say which plain socket a secured one came from.
 *
 * Seen on Deno 2.9.6: ciphers cannot be chosen (it has none without forward secrecy and authenticated encryption), and a
 * certificate of a service that is not believed has the same words whatever is wrong with it.
 */
import type { X509Certificate } from "node:crypto";
import { isIP, type Socket } from "node:net";
import { type SecureContext, TLSSocket, connect as tlsConnect } from "node:tls";
import type {
  PeerJudge,
  SocketError,
  TlsContext,
  TlsFacts,
  TlsHandshake,
  TlsTarget,
  TlsTexts,
} from "../../machine.ts";
import {
  alpnProtocols,
  hasEnded,
  peerCertificate,
  tlsContext,
  tlsFailure,
  tlsOutlived,
  tlsUnproved,
  tlsUnwanted,
} from "./tls.ts";

type Wanted = TlsHandshake["clientCertificate"];

/** OpenSSL resumes no session of a listener that asks for certificates and has no name for its sessions. */
const sessionIdContext = "clearway";

export function nodeTlsContext(texts: TlsTexts): TlsContext {
  return tlsContext(texts, { sessionIdContext });
}

/** Its "secure" tells the end of the handshake, and `outcomeOf` whether the caller is believed. */
export function acceptedSide(plain: Socket, { context, first, clientCertificate }: TlsHandshake): TLSSocket {
  plain.pause();
  plain.unshift(first);
  return new TLSSocket(plain, {
    isServer: true,
    secureContext: context.native as SecureContext,
    requestCert: clientCertificate !== "ignored",
    // Who shows none, or one that is not believed, is refused by `outcomeOf`, and told so.
    rejectUnauthorized: false,
    ALPNProtocols: alpnProtocols,
    allowHalfOpen: true,
  } as ConstructorParameters<typeof TLSSocket>[1]);
}

/** Its "secureConnect" tells that the service is believed, as far as was asked. */
export function connectingSide(
  plain: Socket,
  { context, serverName, verification }: TlsTarget,
  host: string | null,
): TLSSocket {
  const name = serverName ?? host ?? "";
  return tlsConnect({
    socket: plain,
    secureContext: context.native as SecureContext,
    // Whom the certificate must name; SNI says no addresses (RFC 6066, section 3).
    host: name,
    servername: isIP(name) === 0 ? name : "",
    rejectUnauthorized: verification === "full",
    ALPNProtocols: alpnProtocols,
    allowHalfOpen: true,
  } as Parameters<typeof tlsConnect>[0]);
}

/** What is asked of the other side of a handshake. */
export interface Demand {
  readonly certificate: Wanted;
  readonly judge: PeerJudge | null;
}

export interface Refused {
  readonly refused: SocketError;
  readonly certificate: "none" | "shown";
}

/** What a handshake proved, or why its other side is not whom it has to be. */
export function outcomeOf(secured: TLSSocket, { certificate: wanted, judge }: Demand): TlsFacts | Refused {
  // Asked once: Node 22 tells a client its service's certificate only the first time.
  const shown = wanted === "ignored" ? undefined : secured.getPeerX509Certificate();
  const peer = shown === undefined ? null : peerCertificate(shown);
  const refused = whyRefused(secured, wanted, shown) ?? unwanted(judge?.(peer) ?? null);
  if (refused !== null) return { refused, certificate: peer === null ? "none" : "shown" };
  return { version: secured.getProtocol() ?? "", alpn: secured.alpnProtocol || null, peer };
}

function unwanted(problem: string | null): SocketError | null {
  return problem === null ? null : tlsUnwanted(problem);
}

/** Null for one who is whom it has to be. */
function whyRefused(
  secured: TLSSocket,
  wanted: Wanted,
  peer: X509Certificate | undefined,
): SocketError | null {
  if (wanted === "ignored") return null;
  if (peer === undefined) {
    return wanted === "optional" ? null : tlsUnproved;
  }
  const disbelief = verifyError(secured);
  if (disbelief !== null) return tlsFailure(disbelief);
  return hasEnded(peer) ? tlsOutlived : null;
}

interface Verified {
  /** Null, or on Deno an empty text, for one that is believed; on Deno otherwise OpenSSL's name of what was wrong. */
  verifyError?(): Error | string | null;
}

/** What `authorized` says is set by a server of the host's own alone. Without an answer nobody is believed. */
function verifyError(secured: TLSSocket): Error | null {
  const { ssl } = secured as TLSSocket & { readonly ssl?: Verified | null };
  const wrong = ssl?.verifyError === undefined ? "UNABLE_TO_VERIFY" : ssl.verifyError();
  if (wrong === null || wrong === "") return null;
  if (wrong instanceof Error) return wrong;
  const words = String(wrong).toLowerCase().replaceAll("_", " ");
  return Object.assign(new Error(words), { code: String(wrong) });
}
