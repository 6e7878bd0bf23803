/** The certificates of one listener under one generation, by the host name that a caller asks for. */

import type { Sockets, TlsContext, TlsHandshake } from "../../machine.ts";
import type { ListenerCertificate } from "../../snapshot.ts";

/** What a handshake needs of an entry of `tls`. */
export type TlsEntry = Pick<
  ListenerCertificate,
  "certificate" | "key" | "clientCa" | "clientAuth" | "versionMin" | "names"
>;

export interface ServerCertificate {
  readonly config: TlsEntry;
  readonly context: TlsContext;
  readonly clientCertificate: TlsHandshake["clientCertificate"];
}

/** What a connection's handshake was about. */
export interface Entrance {
  /** The host that the caller named; null when it named none. */
  readonly serverName: string | null;
  /** What it was shown, and what it had to prove. */
  readonly certificate: ServerCertificate;
}

export class ServerCertificates {
  readonly #first: ServerCertificate;
  /** More than one: which one a caller gets depends on the host that it names. */
  readonly several: boolean;
  readonly #byName = new Map<string, ServerCertificate>();
  readonly #byText = new Map<string, ServerCertificate>();

  /** In the config's order, at least one. */
  constructor(certificates: readonly ServerCertificate[]) {
    this.#first = certificates[0]!;
    this.several = certificates.length > 1;
    for (const certificate of certificates) {
      const { names, certificate: text } = certificate.config;
      for (const name of names) if (!this.#byName.has(name)) this.#byName.set(name, certificate);
      this.#byText.set(text, certificate);
    }
  }

  /** The one made for an entry that says the same: with it sessions go on that callers may resume. */
  madeFor(entry: TlsEntry): ServerCertificate | null {
    const made = this.#byText.get(entry.certificate);
    return made !== undefined && isSame(made.config, entry) ? made : null;
  }

  /**
   * Whether a caller that named one host in its handshake may ask for another: not when that one's callers have to
   * prove themselves to other authorities (RFC 9110, section 15.5.20). `host`: the request's.
   */
  allows(serverName: string | null, host: string | null): "yes" | "no" {
    const asked = this.find(host);
    return asked.config.clientCa === null || provesAsMuch(this.find(serverName), asked) ? "yes" : "no";
  }

  /** Whether a handshake of now would ask for the same proof as that one did. */
  asksAsThen({ serverName, certificate }: Entrance): boolean {
    return provesAsMuch(certificate, this.find(serverName));
  }

  /** A wildcard stands for one label (RFC 6125, section 6.4.3); a name that nobody has gets the first certificate. */
  find(serverName: string | null): ServerCertificate {
    if (serverName === null) return this.#first;
    const exact = this.#byName.get(serverName);
    if (exact !== undefined) return exact;
    const dot = serverName.indexOf(".");
    return (dot > 0 ? this.#byName.get(`*${serverName.slice(dot)}`) : undefined) ?? this.#first;
  }
}

/** Throws an Error that says what is wrong with it. */
export function serverCertificate(config: TlsEntry, sockets: Sockets): ServerCertificate {
  const { certificate, key, clientCa, clientAuth, versionMin } = config;
  return {
    config,
    context: sockets.tlsContext({ certificate, key, ca: clientCa, versionMin }),
    clientCertificate: clientCa === null ? "ignored" : clientAuth,
  };
}

function provesAsMuch(one: ServerCertificate, other: ServerCertificate): boolean {
  return one.config.clientCa === other.config.clientCa && one.clientCertificate === other.clientCertificate;
}

function isSame(one: TlsEntry, other: TlsEntry): boolean {
  return (
    one.certificate === other.certificate &&
    one.key === other.key &&
    one.clientCa === other.clientCa &&
    one.clientAuth === other.clientAuth &&
    one.versionMin === other.versionMin &&
    one.names.join() === other.names.join()
  );
}
