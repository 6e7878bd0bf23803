/** A request on its way through filters: the lightweight Request in, sendings to services, the Response back out. */
import type { AnswerChange, RequestHead, RequestSummary, SendChange, Variables } from "../types.ts";
import { CallerBody, requestOver } from "./caller-body.ts";
import type { SendWrap } from "./chain.ts";
import type { ChainContext, ChainEnd } from "./chain-end.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Answer, answerTo, MessageFailure } from "./failures.ts";
import { outgoingRequest, outgoingResponse } from "./fetch/outgoing.ts";
import { lightRequest } from "./fetch/request.ts";
import type { FieldEdits, OutgoingResponse, RequestSource } from "./fetch/sources.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import { listElements } from "./http1/fields.ts";
import type { KnownFields } from "./http1/head.ts";
import type { LiveRoute } from "./live-route.ts";
import { localAnswer, rewritten } from "./local-answers.ts";
import { ownResponse } from "./own-response.ts";
import type { Peer } from "./peer.ts";
import { reasonCode, respond, type SentBody } from "./respond.ts";
import { type CalledRun, RunCall } from "./run-call.ts";
import { type CallerSide, Sending, type SendingOwner, type SentRequest } from "./sending.ts";
import type { Destination, Service } from "./service.ts";
import { callService } from "./service-call.ts";
import { chooseTarget } from "./split.ts";
import { flushWires } from "./wire.ts";

/** The exchange that runs the filters, as they and their sendings need it. */
export interface RunOwner extends CallerSide {
  readonly connection: DownstreamConnection;
  readonly peer: Peer;
  readonly route: LiveRoute;
  /** The answer where no route takes the request. */
  readonly unrouted: Answer;
  readonly scheme: string;
  readonly authority: string;
  service: Service | null;
  attempts: number;
  status: number;
  reason: string | null;
  readonly head: RequestHead;
  onFinished(report: (summary: RequestSummary) => void): void;
  answer(answer: Answer): void;
  /** Sends it as it came. */
  direct(): void;
  /** Names and values of the X-Forwarded fields and Forwarded. */
  forwardedFields(fields: KnownFields): readonly (readonly [string, string])[];
  /** Names and values of fields that an answer of a service gets besides its own. */
  cookieFields(answer: FieldEdits): readonly string[];
}

export class ChainRun implements ChainEnd, RequestSource, SentRequest, SendingOwner, CalledRun {
  readonly exchange: RunOwner;
  readonly method: string;
  readonly fields: KnownFields;
  readonly body: CallerBody | null;
  /** As it came; what filters hand on is compared with it. */
  readonly original: Request;
  /** Endpoints that earlier sendings used. */
  readonly tried: Endpoint[] = [];
  readonly #authority: string;
  readonly #target: string;
  #latest: Sending | null = null;
  #abort: AbortController | null = null;
  #context: ChainContext | null = null;
  #answered: SentBody = null;
  /** Within `start`: whoever calls that marks the end of the event. */
  #starting = false;
  #ended = false;
  /** When the route's timeout ends, for upstream filters. */
  #deadlineMs = 0;
  /** Endpoints that detached sendings used; null while there was none. */
  #triedApart: Endpoint[] | null = null;

  constructor(exchange: RunOwner) {
    this.exchange = exchange;
    // The connection goes on to other requests; a filter may hold on to this one.
    this.method = exchange.method;
    this.#authority = exchange.authority;
    this.#target = exchange.target;
    this.fields = exchange.connection.request.head.detached();
    this.body = exchange.connection.request.bodyBytes === 0 ? null : new CallerBody(exchange.connection);
    this.original = lightRequest(this);
  }

  // ---- what filters see ----

  get path(): string {
    const { path } = this.exchange.head;
    return path === "*" ? "/*" : path;
  }

  get url(): string {
    const authority = this.#authority === "" ? "unknown.invalid" : this.#authority;
    return `${this.exchange.scheme}://${authority}${this.#target === "*" ? "/*" : this.#target}`;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#ended) this.#abort.abort();
    return this.#abort.signal;
  }

  get remoteAddress(): string {
    return this.exchange.peer.forwarder.callerAddress(this.fields);
  }

  get identity(): string | null {
    return this.exchange.peer.identity;
  }

  /** What a filter left under this name. */
  get claims(): unknown {
    return this.#context?.var.claims;
  }

  get listener(): string {
    return this.exchange.peer.listener.config.name;
  }

  get route(): string | null {
    return this.exchange.route.config?.name ?? null;
  }

  finished(report: (summary: RequestSummary) => void): void {
    this.exchange.onFinished(report);
  }

  // ---- down, and back up ----

  start(): void {
    this.#starting = true;
    this.exchange.route.chain!(this.original, this);
    this.#starting = false;
  }

  entered(context: ChainContext): void {
    this.#context = context;
  }

  onAnswer(change: AnswerChange): void {
    this.#context!.onAnswer(change);
  }

  forward(request: Request, context: ChainContext): void {
    if (this.#ended) {
      context.failed(requestOver());
      return;
    }
    const { route, peer } = this.exchange;
    const { config } = route;
    if (config === null) context.answered(ownResponse(this.exchange.unrouted));
    // A tunnel is no message that filters could change.
    else if (this.method === "CONNECT") this.exchange.direct();
    else if (config.action.kind === "forward") {
      const target = chooseTarget(route.targets, peer.listener.generation.parts.random);
      this.exchange.service = target.service;
      if (route.wrap === null) this.#start(request, target, { change: UNCHANGED, owner: this });
      else this.#wrapped(request, target, route.wrap);
    } else {
      const { head, body } = localAnswer(config, this.exchange.head);
      const init = { status: head.status, headers: pairs(head.added) };
      context.answered(new Response(body === "" ? null : body, init));
    }
  }

  #wrapped(request: Request, target: Destination, wrap: SendWrap): void {
    this.#beginTimeout();
    const call = new RunCall(this, request, target);
    wrap(call, (change) => call.send(change)).then(
      (response) => this.answered(response),
      (error: unknown) => this.#callFailed(call, error),
    );
  }

  #callFailed(call: RunCall, error: unknown): void {
    call.failed(error).then(
      (response) => this.answered(response),
      (failure: unknown) => this.failed(failure),
    );
  }

  // ---- what came of the sending, or of all that upstream filters made of it ----

  answered(response: Response): void {
    this.#context!.answered(response);
  }

  /** Without upstream filters that repeat it, a failed call is an answer like another. */
  failed(error: unknown): void {
    if (!(error instanceof MessageFailure)) {
      this.#context!.failed(error);
      return;
    }
    const { listener } = this.exchange.peer;
    this.exchange.service?.noteFailure(error, listener.generation.parts.log);
    this.answered(ownResponse(answerTo(error)));
  }

  // ---- the call, as upstream filters see it ----

  get attempts(): number {
    return this.exchange.attempts;
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  get routeName(): string {
    return this.exchange.route.name;
  }

  get vars(): Variables {
    return this.#context!.var;
  }

  replayable(request: Request, bytesMax: number): Promise<boolean> {
    return request === this.original && this.body === null ? REPLAYABLE : this.#replayable(request, bytesMax);
  }

  /** A filter may have put another body in place of the caller's; or none, which rejects as sending it does. */
  async #replayable(request: Request, bytesMax: number): Promise<boolean> {
    const { body } = outgoingRequest(request, this.original);
    if (body.kind === "source" && body.source === this.body) {
      const held = await this.body.replayable(bytesMax);
      if (held) this.#beginTimeout();
      return held;
    }
    return body.kind === "none" || (body.kind === "bytes" && body.bytes.length <= bytesMax);
  }

  /** The route's timeout begins with the request's last byte. */
  #beginTimeout(): void {
    const { connection, peer } = this.exchange;
    this.#deadlineMs = peer.listener.generation.parts.deadlines.now + connection.answerTimeoutMs;
  }

  copy(request: Request): Request {
    const { exchange } = this;
    const { line, authority } = rewritten(exchange.route, exchange.head);
    const url = new URL(request.url);
    if (authority !== null) url.host = authority;
    const target = line !== null && request.url === this.original.url ? url.origin + line.target : url;
    const headers = new Headers(request.headers);
    const replaced = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    for (const name of [...listElements(headers.get("connection") ?? ""), ...replaced]) headers.delete(name);
    for (const [name, value] of exchange.forwardedFields(this.fields)) headers.append(name, value);
    return new Request(target, { method: request.method, headers });
  }

  sendChanged(request: Request, target: Destination, change: SendChange): Promise<Response> {
    return this.send(request, this.#destination(change, target), change);
  }

  #destination({ service, version }: SendChange, otherwise: Destination): Destination {
    if (service === undefined)
      return version === undefined ? otherwise : otherwise.service.destination(version);
    const named = this.exchange.peer.listener.generation.services.get(service);
    if (named === undefined) throw new Error(`no service is called "${service}"`);
    return named.destination(version ?? null);
  }

  /** One sending; rejects with a MessageFailure when no head of an answer came. */
  send(request: Request, destination: Destination, change: SendChange): Promise<Response> {
    if (change.detached === true) return this.#sendApart(request, destination, change);
    if (this.#ended) return Promise.reject(requestOver());
    // A filter may have named another one: what is measured and logged is who was asked last.
    this.exchange.service = destination.service;
    // By a function of ours it would be that function, and its scope, more.
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    try {
      this.#start(request, destination, { change, owner: { answered: resolve, failed: reject } });
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /** Knows neither the caller nor its connection, which may be serving the next request. */
  #sendApart(
    request: Request,
    destination: Destination,
    { signal, timeoutMs }: SendChange,
  ): Promise<Response> {
    const { pseudonym } = this.exchange.peer.listener;
    const routeMs = this.exchange.route.timeoutMs ?? destination.service.config.messageLimits.routeTimeoutMs;
    this.#triedApart ??= [];
    return callService(destination, signal === undefined ? request : new Request(request, { signal }), {
      timeoutMs: Math.min(timeoutMs ?? routeMs, routeMs),
      pseudonym,
      tried: this.#triedApart,
    });
  }

  #start(
    request: Request,
    destination: Destination,
    { change, owner }: { change: SendChange; owner: SendingOwner },
  ): void {
    const sending = new Sending(this, owner, { destination, request, earlier: this.#latest });
    this.#latest = sending;
    this.exchange.attempts++;
    // A filter that waited may go on at any time.
    if (!this.#starting) this.exchange.peer.listener.generation.parts.deadlines.touch();
    sending.start(change);
    // A filter that waited for something goes on in an event whose end nobody else marks.
    if (!this.#starting) flushWires();
  }

  answer(response: Response): void {
    const { connection } = this.exchange;
    if (this.#ended || connection.answer.started || connection.state !== "busy") return;
    const date = this.exchange.peer.listener.generation.parts.date();
    try {
      const outgoing = outgoingResponse(response);
      this.exchange.status = outgoing.status;
      this.exchange.reason = reasonCode(outgoing);
      this.#answered = respond(connection, this.#tied(outgoing), date);
    } catch (error) {
      this.#answerError(error);
    }
  }

  /** With the cookies of services that tie callers to endpoints; an answer of Clearway's own ties nobody. */
  #tied(outgoing: OutgoingResponse): OutgoingResponse {
    const { fields } = outgoing;
    const cookies = this.exchange.reason === null ? this.exchange.cookieFields(fields) : [];
    return cookies.length === 0
      ? outgoing
      : { ...outgoing, fields: { ...fields, added: [...fields.added, ...cookies] } };
  }

  #answerError(error: unknown): void {
    const { connection, peer, route } = this.exchange;
    if (this.#ended) return;
    const message = error instanceof Error ? error.message : String(error);
    peer.listener.generation.parts.log.error(`a request failed: ${message}`, { route: route.name });
    if (connection.answer.started || connection.state !== "busy") connection.abort();
    else this.exchange.answer(answerTo(error));
  }

  giveUp(answer: Answer): void {
    this.#stop(answer.reason === "upstream-timeout" ? "timeout" : "unwanted");
  }

  #stop(why: "timeout" | "unwanted"): void {
    for (let sending = this.#latest; sending !== null; sending = sending.earlier) sending.stop(why);
  }

  /** The exchange is over: what is still on its way is not wanted any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#answered?.cancel();
    this.body?.close();
    this.#stop("unwanted");
    this.#abort?.abort();
  }
}

const REPLAYABLE = Promise.resolve(true);
const UNCHANGED: SendChange = {};

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) result.push([flat[i]!, flat[i + 1]!]);
  return result;
}
