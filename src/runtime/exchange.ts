/**
 * One request of a caller and its answer: path policy, match, filters if the route has any, service, answer - and the
 * one measurement of it all. Without filters the bytes go from socket to socket; with filters see chain-run.ts.
 */

import { type KeyFacts, requestKey } from "../keys.ts";
import type { RequestKey } from "../snapshot.ts";
import type { Failure, FieldTable, RequestHead, RequestSummary } from "../types.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import { StickyCookies } from "./balance/sticky-cookies.ts";
import { ChainRun, type RunOwner } from "./chain-run.ts";
import type { Endpoint } from "./endpoint.ts";
import { ANSWERS, type Answer, answerTo } from "./failures.ts";
import type { FieldEdits } from "./fetch/sources.ts";
import { provenanceFields, viaHasLoop } from "./forwarded.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import { allValues, FieldKind, namedValue } from "./http1/fields.ts";
import type { Head, KnownFields } from "./http1/head.ts";
import type { RequestOwner } from "./http1/request-owner.ts";
import { writeRequestHead } from "./http1/request-writer.ts";
import type { ResponseFacts } from "./http1/response-rules.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import type { LiveRoute } from "./live-route.ts";
import { localAnswer, rewritten } from "./local-answers.ts";
import { applyPathPolicy } from "./path.ts";
import type { Peer } from "./peer.ts";
import type { ChangedRequest } from "./sending.ts";
import type { Service } from "./service.ts";
import { drawRoute } from "./shares.ts";
import { chooseTarget } from "./split.ts";
import { flushWires } from "./wire.ts";

export class Exchange implements RequestOwner, RequestHead, AttemptOwner, RunOwner, KeyFacts {
  path = "";
  route: LiveRoute;
  /** The answer where no route takes the request. */
  unrouted: Answer = ANSWERS["no-route"];
  service: Service | null = null;
  endpoint: Endpoint | null = null;
  attempts = 0;
  status = 0;
  reason: string | null = null;
  readonly connection: DownstreamConnection;
  peer: Peer;
  readonly #startedAtMs: number;
  readonly #writtenBefore: number;
  protected attempt: Attempt | null = null;
  protected run: ChainRun | null = null;
  #upstream: UpstreamConnection | null = null;
  #reports: ((summary: RequestSummary) => void)[] | null = null;
  /** Null unless a service wants a cookie that the caller has not. */
  #cookies: StickyCookies | null = null;
  protected ended = false;

  constructor(connection: DownstreamConnection, peer: Peer) {
    this.connection = connection;
    this.peer = peer;
    this.route = peer.listener.unmatched;
    this.#startedAtMs = this.parts.deadlines.now;
    this.#writtenBefore = connection.answer.writtenBytes;
    peer.listener.generation.enter();
  }

  protected get parts() {
    return this.peer.listener.generation.parts;
  }

  // ---- the request's head, as the matcher and the filters see it ----

  get method(): string {
    return this.connection.request.facts.method;
  }

  get authority(): string {
    return this.connection.request.facts.authority;
  }

  get host(): string {
    return this.connection.request.facts.host;
  }

  get query(): string {
    return this.connection.request.facts.query;
  }

  get scheme(): "http" | "https" {
    return this.peer.scheme;
  }

  get head(): RequestHead {
    return this;
  }

  get fields(): FieldTable {
    return this.connection.request.head;
  }

  // ---- what may tie it to an endpoint ----

  get remoteAddress(): string {
    return this.peer.forwarder.callerAddress(this.fields);
  }

  get routeName(): string {
    return this.route.name;
  }

  get identity(): string | null {
    return this.peer.identity;
  }

  get claims(): unknown {
    return this.run?.claims;
  }

  header(name: string): string | null {
    return namedValue(this.fields, name);
  }

  keyValue(key: RequestKey): string | null {
    return requestKey(key, this) ?? this.newKeyValue(key);
  }

  /** A caller without a cookie that is wanted gets one; nothing else can be given to it. */
  newKeyValue(key: RequestKey): string | null {
    if (key.by !== "cookie") return null;
    this.#cookies ??= new StickyCookies(this.peer.forwarder.callerScheme(this.fields));
    return this.#cookies.value(key.name, () => this.parts.random.id());
  }

  /** Names and values of fields that an answer of a service gets besides its own. */
  cookieFields(answer: FieldEdits): readonly string[] {
    return this.#cookies?.fields(answer) ?? NO_PAIRS;
  }

  // ---- its way ----

  start(): void {
    const { listener } = this.peer;
    const refusal = this.refusal();
    if (refusal !== null) this.unrouted = refusal;
    this.follow(refusal === null ? (listener.matcher.find(this) ?? listener.unmatched) : listener.unmatched);
  }

  /** Under a newer generation from now on: nothing was used of the one that it came under. */
  protected moveTo(peer: Peer): void {
    peer.listener.generation.enter();
    this.peer.listener.generation.leave();
    this.peer = peer;
  }

  /** Its route is known. */
  protected follow(route: LiveRoute): void {
    this.route = route;
    if (route.timeoutMs !== null) this.connection.answerTimeoutMs = route.timeoutMs;
    if (route.chain !== null || route.wrap !== null) {
      this.run = new ChainRun(this);
      this.run.start();
    } else this.direct();
  }

  /** Settles the path. What may go to no route is told to its caller, past the listener's filters like all else. */
  protected refusal(): Answer | null {
    const { facts, head } = this.connection.request;
    this.path = facts.rawPath;
    if (facts.rawPath !== "*") {
      const result = applyPathPolicy(facts.rawPath, this.peer.listener.generation.snapshot.paths);
      if (!result.ok) return { ...ANSWERS["bad-path"], sentence: result.problem };
      this.path = result.path;
    }
    const looped = facts.via >= 0 && viaHasLoop(allValues(head, FieldKind.Via), this.peer.listener.pseudonym);
    if (looped) return ANSWERS["loop-detected"];
    const { certificates, callers } = this.peer.listener;
    if (certificates === null) return null;
    const { entrance } = this.connection;
    if (entrance === null) return callers?.plain === "served" ? null : ANSWERS["tls-required"];
    // The handshake was for another host, and this one asks its callers for other proofs.
    const misdirected = certificates.several && certificates.allows(entrance.serverName, this.host) === "no";
    return misdirected ? ANSWERS["misdirected-request"] : null;
  }

  /** As it came, past no filters. */
  direct(): void {
    const { route } = this;
    if (route.targets.length > 0) {
      const target = chooseTarget(route.targets, this.parts.random);
      this.service = target.service;
      this.attempt = new Attempt(target, this, []);
      this.attempts = 1;
      this.attempt.start();
    } else if (route.config === null) this.answer(this.unrouted);
    else if (route.shares.length > 0) {
      this.follow(drawRoute(route.shares, this, this.parts.random) ?? this.peer.listener.unmatched);
    } else {
      const local = localAnswer(route.config, this);
      this.status = local.head.status;
      this.connection.answer.whole(
        { ...local.head, added: [...local.head.added, "date", this.parts.date()] },
        Buffer.from(local.body),
      );
    }
  }

  // ---- the request goes to a service, as it came ----

  get repeatable(): "yes" | "no" {
    return this.connection.request.bodyBytes === 0 ? "yes" : "no";
  }

  sendTo(upstream: UpstreamConnection, endpoint: Endpoint): void {
    const { facts } = this.connection.request;
    const chunked = facts.bodyBytes < 0;
    this.endpoint = endpoint;
    upstream.begin(this.attempt!, facts.bodyBytes === 0 ? "none" : chunked ? "chunked" : "length");
    this.writeHead(upstream, {
      fields: this.connection.request.head,
      body: { kind: chunked ? "chunked" : "copied" },
    });
    this.sendBody(upstream);
  }

  /** Sends the caller's body on, as it comes. */
  sendBody(upstream: UpstreamConnection): void {
    if (this.connection.request.bodyBytes === 0) return;
    upstream.feed(this.connection);
    this.connection.pipe(upstream);
  }

  /** Writes the request's head, with the changes of filters where there are some. */
  writeHead(upstream: UpstreamConnection, changed: ChangedRequest): void {
    const { request } = this.connection;
    const { facts, head } = request;
    const route = rewritten(this.route, this);
    const line =
      changed.line ??
      route.line ??
      (this.#lineIsAsCame ? null : { method: facts.method, target: this.target });
    const sameBody = changed.body.kind === "copied" || changed.body.kind === "chunked";
    writeRequestHead(upstream.wire, head, {
      line,
      fields: changed.fields,
      removed: changed.removed ?? NONE,
      added: changed.added ?? NO_PAIRS,
      authority: route.authority ?? this.#ownAuthority,
      forwarded: this.forwardedLines(changed.fields),
      provenance: this.provenance,
      body: changed.body,
      expect: sameBody && request.continueAwaited ? "forward" : "drop",
      upgrade: facts.upgrade === null ? "drop" : "forward",
    });
  }

  /** Whether what the caller says of where it came from is replaced by what this node knows. */
  protected get provenance(): "replaced" | "kept" {
    return "replaced";
  }

  protected forwardedLines(fields: KnownFields): Buffer {
    const version = this.connection.request.head.minor === 1 ? "1.1" : "1.0";
    return this.peer.forwarder.lines({ authority: this.authority, version, fields });
  }

  forwardedFields(fields: KnownFields): readonly (readonly [string, string])[] {
    return provenanceFields(this.forwardedLines(fields));
  }

  /** Path and query, as forwarded. */
  get target(): string {
    return this.query === "" && !this.connection.request.facts.hasQuery
      ? this.path
      : `${this.path}?${this.query}`;
  }

  get #lineIsAsCame(): boolean {
    const { facts } = this.connection.request;
    return facts.form === "origin" && this.path === facts.rawPath;
  }

  /** An absolute target's authority replaces Host; HTTP/1.0 may have named none, and the service needs one. */
  get #ownAuthority(): string | null {
    const { facts } = this.connection.request;
    if (facts.authority === "") return this.endpoint?.name ?? "";
    return facts.form === "absolute" ? facts.authority : null;
  }

  onInformational(head: Head): void {
    this.connection.answer.interim(head);
  }

  onHead(upstream: UpstreamConnection, head: Head, facts: ResponseFacts): void {
    this.#upstream = upstream;
    this.status = head.status;
    const { answer } = this.connection;
    const cookies = this.#cookies?.fields({ source: head, removed: NONE, added: NO_PAIRS }) ?? NO_PAIRS;
    answer.forwarded(head, facts, cookies);
    answer.feed(upstream);
    upstream.pipe(answer);
  }

  onUpgraded(upstream: UpstreamConnection, head: Head): void {
    const { connection } = this;
    if (connection.request.facts.upgrade === null) {
      upstream.abort();
      this.answer(ANSWERS["upstream-unexpected-upgrade"]);
      return;
    }
    this.status = 101;
    this.tunnel(upstream, head);
  }

  /** Bytes both ways from now on. */
  protected tunnel(upstream: UpstreamConnection, head: Head | null): void {
    const { connection } = this;
    this.#upstream = upstream;
    connection.tunnel(head);
    connection.answer.feed(upstream);
    upstream.feed(connection);
    connection.pipe(upstream);
    upstream.pipe(connection.answer);
  }

  onFailure(failure: Failure): void {
    this.service?.noteFailure(failure, this.parts.log);
    this.endpoint = this.attempt?.endpoint ?? null;
    this.answer(answerTo(failure));
  }

  // ---- its end ----

  /** Answers in Clearway's own name. */
  answer(answer: Answer): void {
    this.status = answer.status;
    this.reason = answer.reason;
    this.connection.answer.own(answer, ["date", this.parts.date()]);
    flushWires();
  }

  giveUp(answer: Answer): void {
    if (answer.reason === "upstream-timeout") this.attempt?.timeOut();
    else this.attempt?.finish();
    this.run?.giveUp(answer);
    this.answer(answer);
  }

  onAnswered(): void {
    this.#upstream = null;
    this.#end("yes");
  }

  onBroken(_failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    // Through a tunnel bytes went both ways, until somebody had enough. Told by what is known: a field costs each request.
    const isTunnel = this.status === 101 || (this.status === 200 && this.method === "CONNECT");
    if (!isTunnel) upstream?.abort();
    this.#end(isTunnel ? "yes" : "no");
  }

  onFinished(report: (summary: RequestSummary) => void): void {
    this.#reports ??= [];
    this.#reports.push(report);
  }

  #end(complete: "yes" | "no"): void {
    if (this.ended) return;
    this.ended = true;
    this.attempt?.finish();
    this.run?.end();
    const { route, peer } = this;
    const status = complete === "no" && this.status === 0 ? CALLER_LEFT_STATUS : this.status;
    const reason = status === CALLER_LEFT_STATUS ? "caller-left" : this.reason;
    const durationMs = this.parts.deadlines.now - this.#startedAtMs;
    const service = this.service?.config.name ?? "";
    route.meter.record(service, this.method, status, reason ?? "", durationMs);
    if (this.#reports !== null) this.#report({ status, reason, durationMs, complete: complete === "yes" });
    peer.listener.generation.leave();
  }

  #report(ended: Pick<RequestSummary, "status" | "reason" | "durationMs" | "complete">): void {
    const summary: RequestSummary = {
      ...ended,
      listener: this.peer.listener.config.name,
      route: this.route.config?.name ?? null,
      service: this.service?.config.name ?? null,
      endpoint: this.endpoint?.name ?? null,
      attempts: this.attempts,
      requestBytes: this.connection.request.bodyBytesRead,
      responseBytes: this.connection.answer.writtenBytes - this.#writtenBefore,
    };
    for (const report of this.#reports!) report(summary);
  }
}

const NONE: readonly number[] = [];
const NO_PAIRS: readonly string[] = [];
/** nginx's number for a caller who left before there was a status. */
const CALLER_LEFT_STATUS = 499;
