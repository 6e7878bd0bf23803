/** The certificates of one listener under one generation, by the host name that a caller asks for. */
import type { ListenerCertificate } from "../../snapshot.ts";
import type { Sockets, TlsContext, TlsHandshake } from "../../types.ts";

export interface ServerCertificate {
  readonly context: TlsContext;
  readonly clientCertificate: TlsHandshake["clientCertificate"];
  /** PEM; null when no client certificate is asked for. */
  readonly clientCa: string | null;
}

export class ServerCertificates {
  readonly #first: ServerCertificate;
  /** More than one: which one a caller gets depends on the host that it names. */
  readonly several: boolean;
  readonly #byName = new Map<string, ServerCertificate>();

  /** `certificates` has at least one. Throws an Error that says what is wrong with them. */
  constructor(certificates: readonly ListenerCertificate[], sockets: Sockets) {
    const made = certificates.map((config) => ({ config, made: serverCertificate(config, sockets) }));
    this.#first = made[0]!.made;
    this.several = made.length > 1;
    for (const { config, made: certificate } of made) {
      for (const name of config.names) if (!this.#byName.has(name)) this.#byName.set(name, certificate);
    }
  }

  /**
   * Whether a caller that named one host in its handshake may ask for another: not when that one's callers have to
   * prove themselves to other authorities (RFC 9110, section 15.5.20). `host`: the request's, null without one.
   */
  allows(serverName: string | null, host: string | null): "yes" | "no" {
    const asked = this.find(host);
    if (asked.clientCa === null) return "yes";
    const proved = this.find(serverName);
    return proved.clientCa === asked.clientCa && proved.clientCertificate === asked.clientCertificate
      ? "yes"
      : "no";
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

function serverCertificate(config: ListenerCertificate, sockets: Sockets): ServerCertificate {
  const { certificate, key, clientCa, clientAuth, versionMin } = config;
  return {
    context: sockets.tlsContext({ certificate, key, ca: clientCa, versionMin }),
    clientCertificate: clientCa === null ? "ignored" : clientAuth,
    clientCa,
  };
}
