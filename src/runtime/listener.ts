/** One bound address: accepts connections, up to its limits, and gives their requests to the newest generation. */

import type { ListeningSocket, SocketOwner, Sockets } from "../machine.ts";
import type { MessageLimits } from "../snapshot.ts";
import type { Log, Meters } from "../types.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { Exchange } from "./exchange.ts";
import type { Answer } from "./failures.ts";
import type { LiveListener } from "./generation.ts";
import { DownstreamConnection, type RequestTaker } from "./http1/downstream.ts";
import type { RequestOwner } from "./http1/request-owner.ts";
import type { Callers, LeavingStage } from "./leaving.ts";
import { end, isLong, standingProblem } from "./long-request.ts";
import type { ConnectionCount } from "./node-memory/connection-count.ts";
import { OccasionalNote } from "./occasional-note.ts";
import { Peer } from "./peer.ts";
import { ProxyExchange } from "./proxy/proxy-exchange.ts";
import { RefusedCaller } from "./refused-caller.ts";
import { HAS_EXPIRED, identityRefused, type MeshCallers } from "./tls/mesh-callers.ts";
import type { ServerCertificates } from "./tls/server-certificates.ts";
import { type GateKeeper, TlsGate } from "./tls/tls-gate.ts";
import { TurnedAway } from "./turned-away.ts";

export interface ListenerParts {
  readonly sockets: Sockets;
  readonly deadlines: Deadlines;
  readonly meters: Meters;
  readonly log: Log;
  /** Open connections, over all workers. */
  readonly connections: { readonly node: ConnectionCount; readonly own: ConnectionCount };
}

const REVIEW_AGAIN_MS = 500;

export class Listener implements RequestTaker, GateKeeper {
  draining: "yes" | "no" = "no";
  /** With those whose handshake goes on. */
  readonly open = new Set<DownstreamConnection | TlsGate>();
  readonly #turnedAway: TurnedAway;
  readonly #refusals: OccasionalNote;
  readonly #failures: OccasionalNote;
  readonly #parts: ListenerParts;
  #live: LiveListener;
  /** While what is not allowed any more waits for its answer: that may be one without end. */
  readonly #nextReview: Deadline;
  #socket: ListeningSocket | null = null;
  #accepting: "yes" | "no" = "yes";
  #requests = 0;
  #emptied: (() => void) | null = null;

  constructor(parts: ListenerParts, live: LiveListener) {
    this.#parts = parts;
    this.#live = live;
    this.#nextReview = parts.deadlines.create(() => this.#review());
    this.#turnedAway = new TurnedAway(parts.deadlines);
    this.#refusals = new OccasionalNote(parts.deadlines);
    this.#failures = new OccasionalNote(parts.deadlines);
  }

  get deadlines(): Deadlines {
    return this.#parts.deadlines;
  }

  get sockets(): Sockets {
    return this.#parts.sockets;
  }

  get certificates(): ServerCertificates | null {
    return this.#live.certificates;
  }

  get callers(): MeshCallers | null {
    return this.#live.callers;
  }

  get limits(): MessageLimits {
    return this.#live.config.limits;
  }

  get connect(): "refused" | "taken" {
    return this.#live.proxy === null ? "refused" : "taken";
  }

  get live(): LiveListener {
    return this.#live;
  }

  get socket(): ListeningSocket | null {
    return this.#socket;
  }

  /** The address is bound. */
  bound(socket: ListeningSocket): void {
    this.#socket = socket;
  }

  /** From the next request on. */
  serve(live: LiveListener): void {
    this.#live = live;
    if (live.callers !== null || live.reviews === "yes") this.#review();
  }

  /** What takes long, and would not be let in any more, ends now. */
  #review(): void {
    for (const connection of [...this.open]) {
      const request = connection instanceof DownstreamConnection ? connection.owner : null;
      if (!(request instanceof Exchange)) continue;
      const problem = standingProblem(request, this.#live);
      if (problem === null) continue;
      if (!isLong(request)) {
        this.#nextReview.set(this.deadlines.touch() + REVIEW_AGAIN_MS);
        continue;
      }
      const { identity, method, path } = request;
      const { remoteAddress } = connection;
      end(request);
      this.#refusals.note((unsaid) =>
        this.#parts.log.info(`ended what was under way: ${problem}`, {
          ...{ listener: this.#live.config.name, reason: "policy-changed" },
          ...{ caller: identity ?? "anonymous", method, path, remoteAddress, unsaid },
        }),
      );
    }
  }

  accept(): SocketOwner {
    const { protocol } = this.#live.config;
    if (!this.#enter()) return this.#turnedAway.owner(protocol);
    const connection = protocol === "https" ? new TlsGate(this) : new DownstreamConnection(this);
    this.#parts.meters.connections("downstream", 1);
    this.open.add(connection);
    return connection;
  }

  /** Whether one more connection is within the limits. */
  #enter(): boolean {
    const { node, own } = this.#parts.connections;
    if (!node.enter(this.#live.generation.snapshot.connectionsMax)) return false;
    if (own.enter(this.limits.connections)) return true;
    node.leave();
    return false;
  }

  passed(gate: TlsGate): SocketOwner {
    const connection = new DownstreamConnection(this);
    connection.entrance = gate.entrance;
    this.open.delete(gate);
    this.open.add(connection);
    return connection;
  }

  /** Whoever is told that is no connection of this listener any more. */
  disbelieved(gate: TlsGate, problem: string, certificate: "none" | "shown"): SocketOwner {
    this.failed(gate, problem);
    return this.#turnedAway.unproved(certificate);
  }

  failed(gate: TlsGate, problem: string | null): void {
    const { name } = this.#live.config;
    this.closed(gate);
    if (problem === null) return;
    this.#parts.meters.count(
      "clearway_tls_handshake_failures_total",
      "Connections to a listener with TLS that ended before a request.",
      { listener: name },
    );
    this.#failures.note((unsaid) =>
      this.#parts.log.info(`no TLS connection with a caller: ${problem}`, {
        listener: name,
        serverName: gate.entrance?.serverName ?? null,
        remoteAddress: gate.remoteAddress,
        unsaid,
      }),
    );
  }

  take(connection: DownstreamConnection): RequestOwner {
    this.#requests++;
    const peer = this.peerOf(connection);
    if (peer.settled === "no") {
      const refusal = this.#refusal(peer);
      if (refusal !== null) return new RefusedCaller(this, connection, refusal);
      // Who was let in by an older proof is served to the end of this request.
      if (peer.proof === "outdated") connection.answer.connection = "close";
    }
    return this.#exchange(connection, peer);
  }

  #exchange(connection: DownstreamConnection, peer: Peer): Exchange {
    return this.#live.proxy === null
      ? new Exchange(connection, peer)
      : new ProxyExchange(connection, peer, this);
  }

  /** Under the generation that serves now. */
  peerOf(connection: DownstreamConnection): Peer {
    let peer = connection.peer as Peer | null;
    if (peer === null || peer.listener !== this.#live) {
      peer = new Peer(this.#live, connection);
      connection.peer = peer;
    }
    return peer;
  }

  /** Since it was let in, its service may have been removed, its certificate have expired, or the rules be others. */
  #refusal({ refusal, provedUntilEpochMs }: Peer): Answer | null {
    if (refusal !== null || provedUntilEpochMs === Infinity) return refusal;
    return provedUntilEpochMs > this.#live.generation.parts.epochMs() ? null : identityRefused(HAS_EXPIRED);
  }

  refused(connection: DownstreamConnection, answer: Answer): void {
    const { config, unmatched } = this.#live;
    unmatched.meter.record("", "", answer.status, answer.reason, 0);
    this.#refusals.note((unsaid) =>
      this.#parts.log.info(`refused a request: ${answer.sentence}`, {
        listener: config.name,
        reason: answer.reason,
        status: answer.status,
        remoteAddress: connection.remoteAddress,
        unsaid,
      }),
    );
  }

  closed(connection: DownstreamConnection | TlsGate): void {
    if (!this.open.delete(connection)) return;
    const { connections, meters } = this.#parts;
    connections.node.leave();
    connections.own.leave();
    meters.connections("downstream", -1);
    if (this.open.size === 0) this.#emptied?.();
  }

  /** May be called again and again. */
  leave(stage: LeavingStage): Callers {
    if (stage !== "keep") this.draining = "yes";
    if (stage === "refuse") this.#refuse();
    const callers = [...this.open].filter(
      (one) => !(one instanceof DownstreamConnection) || one.state === "head" || one.state === "busy",
    );
    return { requests: this.#requests, connections: callers.length };
  }

  /** Accepts no more, closes what is idle, and resolves when the last connection ended. */
  drain(): Promise<void> {
    this.draining = "yes";
    this.#refuse();
    if (this.open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** Once: what is idle is not given its time anew. */
  #refuse(): void {
    if (this.#accepting === "no") return;
    this.#accepting = "no";
    this.#socket?.stop();
    for (const connection of this.open) connection.drain();
  }

  /** Resets what is still open; returns how many that were. */
  abort(): number {
    const count = this.open.size;
    for (const connection of [...this.open]) connection.abort();
    return count;
  }
}
