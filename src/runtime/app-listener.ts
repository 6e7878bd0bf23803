/** Our own listener in front of a Hono app: admin, and whatever else Clearway serves itself. */

import type { Address, Clock, ListeningSocket, Sockets } from "../machine.ts";
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
import { ownHead } from "./http1/caller-answer.ts";
import { DownstreamConnection, type RequestTaker } from "./http1/downstream.ts";
import type { RequestOwner } from "./http1/request-owner.ts";
import { ownResponse } from "./own-response.ts";
import { reasonCode, respond, type SentBody } from "./respond.ts";

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

export interface AppListener {
  /** As bound. */
  readonly address: Address;
  /** Stops accepting, lets answers end, and after `timeoutMs` resets what is left. */
  drain(timeoutMs: number): Promise<void>;
}

/** Rejects with an Error that has a `code` when the address cannot be bound. */
export async function serveApp(
  parts: AppParts,
  options: { readonly address: Address; readonly limits: MessageLimits },
  app: App,
): Promise<AppListener> {
  installGlobals();
  const taker = new AppTaker(parts, options.limits, app);
  taker.socket = await parts.sockets.listen(options.address, "exclusive", () => taker.accept());
  return { address: taker.socket.address, drain: (timeoutMs) => taker.drain(timeoutMs) };
}

class AppTaker implements RequestTaker {
  readonly deadlines: Deadlines;
  readonly date: HttpDate;
  draining: "yes" | "no" = "no";
  socket: ListeningSocket | null = null;
  readonly #open = new Set<DownstreamConnection>();
  #emptied: () => void = () => {};

  constructor(
    readonly parts: AppParts,
    readonly limits: MessageLimits,
    readonly app: App,
  ) {
    this.deadlines = new Deadlines(parts.clock);
    this.date = new HttpDate(parts.clock);
  }

  accept(): DownstreamConnection {
    const connection = new DownstreamConnection(this);
    this.#open.add(connection);
    return connection;
  }

  take(connection: DownstreamConnection): RequestOwner {
    return new AppExchange(this, connection);
  }

  refused(): void {}

  closed(connection: DownstreamConnection): void {
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
  readonly identity = null;
  readonly listener = "admin";
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
    this.remoteAddress = connection.remoteAddress;
    this.fields = head.detached();
    this.body = facts.bodyBytes === 0 ? null : new CallerBody(connection);
    const target = facts.rawPath === "*" ? "/*" : facts.rawPath;
    this.url = `http://${facts.authority || "localhost"}${target}${facts.hasQuery ? `?${facts.query}` : ""}`;
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
        this.#taker.parts.log.error(`an admin request failed: ${message}`);
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
    this.#connection.answer.whole(ownHead(answer), Buffer.from(`${answer.reason}: ${answer.sentence}\n`));
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
