/** Our own listener in front of a Hono app: admin, the coordinator, and whatever else Clearway serves itself. */

import type { Address, Clock, ListeningSocket, SocketOwner, Sockets } from "../machine.ts";
import type { MessageLimits } from "../snapshot.ts";
import type { Bindings, Failure, FieldTable, Log, RequestSummary } from "../types.ts";
import { CallerBody } from "./caller-body.ts";
import { Deadlines } from "./deadlines.ts";
import { ANSWERS, type Answer } from "./failures.ts";
import { installGlobals } from "./fetch/globals.ts";
import { outgoingResponse } from "./fetch/outgoing.ts";
import { lightRequest } from "./fetch/request.ts";
import type { RequestSource } from "./fetch/sources.ts";
import { HttpDate } from "./http-date.ts";
import { DownstreamConnection, type RequestTaker } from "./http1/downstream.ts";
import type { RequestOwner } from "./http1/request-owner.ts";
import { OccasionalNote } from "./occasional-note.ts";
import { ownResponse } from "./own-response.ts";
import { RefusedCaller } from "./refused-caller.ts";
import { reasonCode, respond, type SentBody } from "./respond.ts";
import { identityOf } from "./tls/identity.ts";
import { identityRefused, MeshCallers } from "./tls/mesh-callers.ts";
import { ServerCertificates, serverCertificate, type TlsEntry } from "./tls/server-certificates.ts";
import { type GateKeeper, TlsGate } from "./tls/tls-gate.ts";
import { TurnedAway } from "./turned-away.ts";

export interface AppParts {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly log: Log;
}

export interface AppBindings extends Bindings {
  /** Ends the connection at once: whoever asked gets no answer. */
  abort(): void;
}

export type App = (request: Request, env: AppBindings) => Response | Promise<Response>;

/** What its callers are shown, and what they have to prove; every name is taken for this listener's. */
export interface AppTls extends Omit<TlsEntry, "names"> {
  /** A certificate that is shown has to be one of a service of this mesh: then `env.identity` is that service's. */
  readonly trustDomain?: string;
}

export interface AppOptions {
  /** What `env.listener` and the log call it. */
  readonly name: string;
  readonly address: Address;
  readonly limits: MessageLimits;
  /** Without it plain HTTP is spoken. */
  readonly tls?: AppTls;
}

export interface AppListener {
  /** As bound. */
  readonly address: Address;
  /**
   * The next handshake gets this; connections that are open go on. Where callers have to prove themselves to others
   * than before, those are served once more. Throws an Error that says what is wrong, and then nothing changed.
   */
  renew(tls: AppTls): void;
  /** Stops accepting, lets answers end, and after `timeoutMs` resets what is left. */
  drain(timeoutMs: number): Promise<void>;
}

/**
 * Rejects with an Error that has a `code` when the address cannot be bound, and with one that says what is wrong with the
 * certificates.
 */
export async function serveApp(parts: AppParts, options: AppOptions, app: App): Promise<AppListener> {
  installGlobals();
  const taker = new AppTaker(parts, options, app);
  taker.socket = await parts.sockets.listen(options.address, "exclusive", () => taker.accept());
  return {
    address: taker.socket.address,
    renew: (tls) => taker.renew(tls),
    drain: (timeoutMs) => taker.drain(timeoutMs),
  };
}

class AppTaker implements RequestTaker, GateKeeper {
  readonly deadlines: Deadlines;
  readonly date: HttpDate;
  readonly name: string;
  readonly limits: MessageLimits;
  certificates: ServerCertificates | null;
  callers: MeshCallers | null;
  draining: "yes" | "no" = "no";
  readonly connect = "refused";
  socket: ListeningSocket | null = null;
  /** With those whose handshake goes on. */
  readonly #open = new Set<DownstreamConnection | TlsGate>();
  readonly #turnedAway: TurnedAway;
  readonly #failures: OccasionalNote;
  #emptied: () => void = () => {};

  constructor(
    readonly parts: AppParts,
    { name, limits, tls }: AppOptions,
    readonly app: App,
  ) {
    this.name = name;
    this.limits = limits;
    this.deadlines = new Deadlines(parts.clock);
    this.date = new HttpDate(parts.clock);
    this.#turnedAway = new TurnedAway(this.deadlines);
    this.#failures = new OccasionalNote(this.deadlines);
    this.certificates = tls === undefined ? null : this.#made(tls);
    this.callers = this.#callersOf(tls);
  }

  get sockets(): Sockets {
    return this.parts.sockets;
  }

  renew(tls: AppTls): void {
    if (this.certificates === null) throw new Error(`${this.name} speaks plain HTTP: it has no certificate`);
    this.certificates = this.#made(tls);
    this.callers = this.#callersOf(tls);
  }

  #callersOf(tls: AppTls | undefined): MeshCallers | null {
    const { clock } = this.parts;
    const { trustDomain } = tls ?? {};
    if (trustDomain === undefined) return null;
    const rules = { removed: [], plain: "refused", nameless: "served" } as const;
    return new MeshCallers({ ...rules, trustDomain, epochMs: () => clock.epochMs() });
  }

  #made(tls: AppTls): ServerCertificates {
    const entry = { ...tls, names: [] };
    return new ServerCertificates([
      this.certificates?.madeFor(entry) ?? serverCertificate(entry, this.parts.sockets),
    ]);
  }

  accept(): SocketOwner {
    const protocol = this.certificates === null ? "http" : "https";
    if (this.#open.size >= this.limits.connections) return this.#turnedAway.owner(protocol);
    const connection = protocol === "https" ? new TlsGate(this) : new DownstreamConnection(this);
    this.#open.add(connection);
    return connection;
  }

  passed(gate: TlsGate): SocketOwner {
    const connection = new DownstreamConnection(this);
    connection.entrance = gate.entrance;
    this.#open.delete(gate);
    this.#open.add(connection);
    return connection;
  }

  disbelieved(gate: TlsGate, problem: string, certificate: "none" | "shown"): SocketOwner {
    this.failed(gate, problem);
    return this.#turnedAway.unproved(certificate);
  }

  failed(gate: TlsGate, problem: string | null): void {
    this.closed(gate);
    if (problem === null) return;
    this.#failures.note((unsaid) =>
      this.parts.log.info(`no TLS connection with a caller: ${problem}`, {
        listener: this.name,
        serverName: gate.entrance?.serverName ?? null,
        remoteAddress: gate.remoteAddress,
        unsaid,
      }),
    );
  }

  take(connection: DownstreamConnection): RequestOwner {
    const { entrance, tls } = connection;
    if (entrance === null || tls === null) return new AppExchange(this, connection);
    const problem = this.callers?.problem(tls.peer) ?? null;
    if (problem !== null) return new RefusedCaller(this, connection, identityRefused(problem));
    // Who was let in by an older proof is served to the end of this request.
    if (!this.certificates!.asksAsThen(entrance)) connection.answer.connection = "close";
    return new AppExchange(this, connection);
  }

  refused(): void {}

  closed(connection: DownstreamConnection | TlsGate): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#emptied();
  }

  async drain(timeoutMs: number): Promise<void> {
    this.draining = "yes";
    this.socket?.stop();
    for (const connection of this.#open) connection.drain();
    const cancel = this.parts.clock.after(timeoutMs, () => {
      for (const connection of [...this.#open]) connection.abort();
    });
    if (this.#open.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
    cancel();
    this.deadlines.stop();
  }
}

class AppExchange implements RequestOwner, RequestSource, AppBindings {
  readonly method: string;
  readonly url: string;
  readonly fields: FieldTable;
  readonly body: CallerBody | null;
  readonly remoteAddress: string;
  readonly identity: string | null;
  readonly listener: string;
  readonly route = null;
  readonly #taker: AppTaker;
  readonly #connection: DownstreamConnection;
  readonly #reports: ((summary: RequestSummary) => void)[] = [];
  readonly #startedAtMs: number;
  #abort: AbortController | null = null;
  #answered: SentBody = null;
  #status = 0;
  #reason: string | null = null;
  #ended = false;

  constructor(taker: AppTaker, connection: DownstreamConnection) {
    const { facts, head } = connection.request;
    this.#taker = taker;
    this.#connection = connection;
    this.#startedAtMs = taker.deadlines.now;
    this.method = facts.method;
    this.listener = taker.name;
    this.identity = identityOf(connection.tls?.peer);
    this.remoteAddress = connection.remoteAddress;
    this.fields = head.detached();
    this.body = facts.bodyBytes === 0 ? null : new CallerBody(connection);
    const target = facts.rawPath === "*" ? "/*" : facts.rawPath;
    const scheme = connection.tls === null ? "http" : "https";
    this.url = `${scheme}://${facts.authority || "localhost"}${target}${facts.hasQuery ? `?${facts.query}` : ""}`;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  finished(report: (summary: RequestSummary) => void): void {
    this.#reports.push(report);
  }

  abort(): void {
    this.#connection.abort();
  }

  start(): void {
    // An app may throw before it returns a promise.
    new Promise<Response>((resolve) => resolve(this.#taker.app(lightRequest(this), this))).then(
      (response) => this.#answer(response),
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        this.#taker.parts.log.error(`a request to ${this.listener} failed: ${message}`);
        this.#answer(ownResponse(ANSWERS["internal-error"]));
      },
    );
  }

  #answer(response: Response): void {
    if (this.#ended || this.#connection.answer.started) return;
    const outgoing = outgoingResponse(response);
    this.#status = outgoing.status;
    this.#reason = reasonCode(outgoing);
    this.#answered = respond(this.#connection, outgoing, this.#taker.date.text());
  }

  giveUp(answer: Answer): void {
    this.#status = answer.status;
    this.#reason = answer.reason;
    this.#connection.answer.own(answer);
  }

  onAnswered(): void {
    this.#end("yes");
  }

  onBroken(_failure: Failure): void {
    this.#answered?.cancel();
    this.#abort?.abort();
    this.#end("no");
  }

  #end(complete: "yes" | "no"): void {
    this.#ended = true;
    this.body?.close();
    const summary: RequestSummary = {
      listener: this.listener,
      route: null,
      service: null,
      endpoint: null,
      status: this.#status,
      reason: this.#reason,
      attempts: 0,
      durationMs: this.#taker.deadlines.now - this.#startedAtMs,
      requestBytes: this.#connection.request.bodyBytesRead,
      responseBytes: 0,
      complete: complete === "yes",
    };
    for (const report of this.#reports) report(summary);
  }
}
