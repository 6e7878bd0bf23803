/** How the connections of one service are encrypted. */

import type { Address, PeerJudge, Sockets, TlsContext, TlsTarget } from "../../machine.ts";
import type { DnsConfig, ServiceConfig } from "../../snapshot.ts";
import { serviceProblem } from "./mesh-callers.ts";

export class ServiceTargets {
  readonly #context: TlsContext;
  readonly #serverName: string | null;
  readonly #verification: TlsTarget["verification"];
  readonly #identity: string | null;

  /** Throws an Error that says what is wrong with the certificates. */
  constructor(
    { tls, dns }: ServiceConfig & { readonly tls: NonNullable<ServiceConfig["tls"]> },
    sockets: Sockets,
  ) {
    const { ca, certificate, identity } = tls;
    this.#context = sockets.tlsContext({
      ca,
      certificate: certificate?.certificate ?? null,
      key: certificate?.key ?? null,
      versionMin: "1.2",
    });
    this.#serverName = tls.serverName ?? (dns === null ? null : certifiedName(dns));
    this.#verification = tls.verification;
    this.#identity = identity;
  }

  /**
   * Where nothing else is said, the endpoint's own host has to be in its certificate. `proved`: it has the identity that
   * is demanded, until then.
   */
  to(address: Address, proved: (untilEpochMs: number) => void = () => {}): TlsTarget {
    const identity = this.#identity;
    const unnamed = "unixPath" in address ? "localhost" : null;
    return {
      context: this.#context,
      serverName: this.#serverName ?? unnamed,
      verification: this.#verification,
      judge: identity === null ? null : judgeOf(identity, proved),
    };
  }
}

function judgeOf(identity: string, proved: (untilEpochMs: number) => void): PeerJudge {
  return (peer) => {
    const problem = serviceProblem(peer, identity);
    if (problem === null) proved(peer!.expiresEpochMs);
    return problem;
  };
}

/** The name that a certificate is for: that of SRV records without `_http._tcp.` (RFC 6125, section 6.2.1), and no last dot. */
function certifiedName({ name }: DnsConfig): string {
  return name.replace(/^(?:_[^.]+\.)+/, "").replace(/\.$/, "");
}
