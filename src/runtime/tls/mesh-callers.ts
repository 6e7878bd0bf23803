/** Whom a listener of a mesh admits: what its certificate has to be besides believed (SPIFFE, X509-SVID.md, section 5). */
import { parseIdentity } from "../../identity.ts";
import type { PeerCertificate, TlsFacts } from "../../machine.ts";
import { ANSWERS, type Answer } from "../failures.ts";

/** Of what a caller chose, at most so many characters are quoted. */
const QUOTED_MAX = 200;

export const HAS_EXPIRED = "its certificate has expired";

export interface MeshRules {
  readonly trustDomain: string;
  /** Refused although their certificates are right. */
  readonly removed: readonly string[];
  /** Callers without TLS. */
  readonly plain: "served" | "refused";
  /** Callers by TLS that show no certificate. */
  readonly nameless: "served" | "refused";
  epochMs(): number;
}

export class MeshCallers {
  readonly plain: MeshRules["plain"];
  /** For a caller that speaks plain HTTP where it may not. */
  readonly plainAnswer: Answer;
  readonly #rules: MeshRules;
  readonly #removed: ReadonlySet<string>;

  constructor(rules: MeshRules) {
    this.plain = rules.plain;
    this.plainAnswer = ANSWERS[rules.nameless === "served" ? "tls-required" : "mtls-required"];
    this.#rules = rules;
    this.#removed = new Set(rules.removed);
  }

  /** What is told to who asks on an open connection, whatever the day is; null for one who may ask. */
  refusal(tls: TlsFacts | null): Answer | null {
    if (tls === null) return this.plain === "served" ? null : this.plainAnswer;
    const problem = this.unwanted(tls.peer);
    return problem === null ? null : identityRefused(problem);
  }

  /** Why who proved this with TLS may not come in, or ask further, in words; null for one who may. */
  problem(peer: PeerCertificate | null): string | null {
    return this.unwanted(peer) ?? (peer === null ? null : this.#timeProblem(peer));
  }

  /** The same, whether its certificate holds today or not: what is under way may take longer than that. */
  unwanted(peer: PeerCertificate | null): string | null {
    const { trustDomain, nameless } = this.#rules;
    if (peer === null) return nameless === "served" ? null : "it showed no certificate";
    const wrong = certificateProblem(peer);
    if (wrong !== null) return wrong;
    const [text] = peer.uris as readonly [string];
    const identity = parseIdentity(text);
    if (identity === null) return `its certificate names ${quoted(text)}, which is no identity of a service`;
    if (identity.trustDomain !== trustDomain) {
      return `its identity ${quoted(text)} is not of the trust domain ${trustDomain}`;
    }
    if (this.#removed.has(text)) return `its service was removed from the mesh: ${quoted(text)}`;
    return null;
  }

  #timeProblem({ startsEpochMs, expiresEpochMs }: PeerCertificate): string | null {
    const now = this.#rules.epochMs();
    // A date that cannot be read compares with nothing.
    if (!(startsEpochMs <= now)) return "its certificate is not valid yet";
    return expiresEpochMs > now ? null : HAS_EXPIRED;
  }
}

export function identityRefused(problem: string): Answer {
  return { ...ANSWERS["identity-refused"], sentence: problem };
}

/** Why it cannot be the certificate of a service, whichever one, in words; null when it can. */
function certificateProblem({ isAuthority, uris }: PeerCertificate): string | null {
  if (isAuthority) return "its certificate is an authority's, not a service's";
  if (uris.length !== 1) return `its certificate names ${uris.length} URIs: wanted exactly one, its identity`;
  return null;
}

/** Why it is not the certificate of the service with this identity, in words; null when it is. */
export function serviceProblem(peer: PeerCertificate | null, identity: string): string | null {
  if (peer === null) return "its certificate was not looked at";
  const problem = certificateProblem(peer);
  if (problem !== null) return problem;
  return peer.uris[0] === identity
    ? null
    : `its certificate is for ${quoted(peer.uris[0]!)}, not ${identity}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text);
}
