/**
 * A request on a listener that is its callers' HTTP proxy. What its routes do not take may be for a host outside the
 * mesh, or a tunnel: one to a service of the mesh ends here, and the requests in it are this listener's; one to a host
 * outside carries bytes.
 */
import type { Failure } from "../../types.ts";
import type { Endpoint } from "../endpoint.ts";
import { Exchange } from "../exchange.ts";
import { ANSWERS, type Answer } from "../failures.ts";
import { viaLine } from "../forwarded.ts";
import { spells } from "../http1/characters.ts";
import type { DownstreamConnection } from "../http1/downstream.ts";
import type { KnownFields } from "../http1/head.ts";
import type { UpstreamConnection } from "../http1/upstream.ts";
import type { Peer } from "../peer.ts";
import type { Destination } from "../service.ts";
import { flushWires } from "../wire.ts";
import type { ForwardProxy } from "./forward-proxy.ts";
import type { Outside } from "./outside.ts";
import type { HeldRequest } from "./wanted-services.ts";

const HTTP_PORT = 80;
const HTTPS_PORT = 443;
const HTTPS = "https:";
/** Of a service: `payments.mesh`. */
const MESH_HOST = /\.mesh\.?$/;

/** The listener, as it is now. */
export interface ProxyHome {
  peerOf(connection: DownstreamConnection): Peer;
}

export class ProxyExchange extends Exchange implements HeldRequest {
  readonly #home: ProxyHome;
  /** To a host that is none of the mesh's. */
  #isOutside = false;
  /** The service that it waits for. */
  #awaited: string | null = null;

  constructor(connection: DownstreamConnection, peer: Peer, home: ProxyHome) {
    super(connection, peer);
    this.#home = home;
  }

  override start(): void {
    const refusal = this.refusal();
    if (refusal !== null) this.#refuse(refusal);
    else if (this.#form !== "authority") this.#match();
    else if (this.#isMesh) this.#serveTunnel();
    else this.#goOutside();
  }

  get #proxy(): ForwardProxy {
    return this.peer.listener.proxy!;
  }

  get #form() {
    return this.connection.request.facts.form;
  }

  get #isMesh(): boolean {
    return MESH_HOST.test(this.host);
  }

  #match(): void {
    const { matcher, unmatched } = this.peer.listener;
    const route = matcher.find(this);
    const isMesh = route === null && this.#isMesh;
    if (route !== null) this.follow(route);
    else if (isMesh && !this.#proxy.hosts.has(this.host)) this.#await();
    else if (!isMesh && this.#form === "absolute") this.#goOutside();
    else this.follow(unmatched);
  }

  // ---- a service that the node does not know yet ----

  #await(): void {
    const service = this.host.replace(/\.mesh$/, "");
    const refusal = this.#proxy.wanted.hold(service, this);
    if (refusal === null) this.#awaited = service;
    else this.#refuse(refusal);
  }

  tryAgain(): "gone" | "waits" {
    if (this.ended || this.connection.answer.started) return "gone";
    const peer = this.#home.peerOf(this.connection);
    if (peer.listener === this.peer.listener || peer.listener.proxy === null) return "waits";
    this.moveTo(peer);
    const refusal = this.refusal();
    const route = refusal === null ? peer.listener.matcher.find(this) : null;
    if (refusal === null && route === null && !this.#proxy.hosts.has(this.host)) return "waits";
    this.#goOn(() =>
      refusal === null ? this.follow(route ?? peer.listener.unmatched) : this.#refuse(refusal),
    );
    return "gone";
  }

  refuse(answer: Answer): void {
    this.#goOn(() => this.#refuse(answer));
  }

  override onBroken(failure: Failure): void {
    if (this.#awaited !== null) this.#proxy.wanted.leave(this.#awaited, this);
    super.onBroken(failure);
  }

  // ---- tunnels, and hosts outside ----

  /** Past the listener's filters, like all that goes to no route. */
  #refuse(answer: Answer): void {
    this.unrouted = answer;
    this.follow(this.peer.listener.unmatched);
  }

  #serveTunnel(): void {
    const { host } = this;
    const port = portOf(this.authority);
    if (port === HTTPS_PORT) {
      this.#refuse(ANSWERS["tls-in-tunnel"]);
      return;
    }
    this.route = this.#proxy.tunnelRoute;
    this.status = 200;
    this.connection.serveWithin({ authority: port === HTTP_PORT ? host : this.authority, host });
  }

  #goOutside(): void {
    const { outside } = this.#proxy;
    if (outside === null) this.#refuse(ANSWERS["egress-denied"]);
    else if (this.#isHttps) this.#refuse(ANSWERS["tunnel-required"]);
    else this.#find(outside);
  }

  get #isHttps(): boolean {
    const { bytes, targetStart } = this.connection.request.head;
    return this.#form === "absolute" && spells(bytes, targetStart, targetStart + HTTPS.length, HTTPS);
  }

  #find(outside: Outside): void {
    const target = { host: this.host, port: portOf(this.authority) ?? HTTP_PORT };
    this.#later(outside.find(target, this.peer.listener.generation.snapshot), (found) => {
      if ("reason" in found) this.#refuse(found);
      else this.#follow(found);
    });
  }

  #follow(destination: Destination): void {
    this.#isOutside = true;
    const target = { ...destination, version: null, weight: 1 };
    this.follow({ ...this.#proxy.outsideRoute, targets: [target] });
  }

  /** Goes on when it is known how, unless the request is over by then. */
  #later<Known>(coming: Promise<Known>, goOn: (known: Known) => void): void {
    void coming.then((known) => this.#goOn(() => goOn(known)));
  }

  #goOn(how: () => void): void {
    if (this.ended || this.connection.answer.started) return;
    this.#awaited = null;
    this.parts.deadlines.touch();
    how();
    this.connection.awaitAnswer();
    flushWires();
  }

  /** A host outside is told nothing of this node's surroundings, but that there was a proxy (RFC 9110 section 7.6.3). */
  protected override forwardedLines(fields: KnownFields): Buffer {
    if (!this.#isOutside) return super.forwardedLines(fields);
    const version = this.connection.request.head.minor === 1 ? "1.1" : "1.0";
    return Buffer.from(viaLine(version, this.peer.listener.pseudonym), "latin1");
  }

  protected override get provenance(): "replaced" | "kept" {
    return this.#isOutside ? "kept" : "replaced";
  }

  override sendTo(upstream: UpstreamConnection, endpoint: Endpoint): void {
    if (this.#form === "authority") this.#openTunnel(upstream, endpoint);
    else super.sendTo(upstream, endpoint);
  }

  #openTunnel(upstream: UpstreamConnection, endpoint: Endpoint): void {
    const attempt = this.attempt!;
    this.endpoint = endpoint;
    this.status = 200;
    upstream.begin(attempt, "tunnel");
    attempt.tunnelled();
    this.tunnel(upstream, null);
  }

  /** Filters that wait for a tunnel hear that there is none. */
  override onFailure(failure: Failure): void {
    if (this.run === null) super.onFailure(failure);
    else {
      this.endpoint = this.attempt?.endpoint ?? null;
      this.run.failed(failure);
    }
  }
}

/** Null when it names none. */
function portOf(authority: string): number | null {
  const port = /:(\d+)$/.exec(authority)?.[1];
  return port === undefined ? null : Number(port);
}
