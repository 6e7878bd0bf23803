/** What a filter may touch besides its request, made for one filter of one generation. */

import type { Address, ByteSocket, Clock, Random, SocketOwner, Sockets } from "../machine.ts";
import type {
  Appender,
  FilterMetrics,
  InFlight,
  Limit,
  LimitRules,
  Log,
  LogFields,
  Meters,
  Tools,
} from "../types.ts";
import { leaseLimit } from "./limits.ts";
import { ConnectionCount } from "./node-memory/connection-count.ts";
import type { NodeShare } from "./node-memory/index.ts";
import { checkedTarget, hostsIn } from "./outside.ts";

/** Values that filters of one worker keep; more are refused. */
const KEPT_MAX = 10_000;
/** What one filter may ask to have run when it retires. */
const CLOSERS_MAX = 100;
/** Limits, and counts of what is under way, of one filter. */
const LEASES_MAX = 100;
const droppedKeys = [
  "clearway_filter_limit_keys_dropped_total",
  "Keys of limits that were forgotten for others while they still owed",
] as const;
/** A call to the outside, from its start to the head of its answer. */
const FETCH_TIMEOUT_MS = 10_000;

export interface ToolParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meters: Meters;
  readonly sockets: Sockets;
  readonly memory: FilterMemory;
  /** What the node counts, and what this process says of itself there. */
  readonly share: Pick<NodeShare, "filterMark" | "counter" | "inFlight" | "limits" | "hash" | "startMs">;
  /** "stdout", "stderr" or a path. */
  open(path: string): Appender;
  fetch(url: string, init?: RequestInit): Promise<Response>;
  call(service: string, request: Request): Promise<Response>;
}

/** The filter that gets the tools. */
export interface ToolOwner {
  readonly name: string;
  /** Filters with the same id share what they keep, also the old and the new one of a reload. */
  readonly id: string;
  /** To whom limits belong: the listener or route of the filter; empty for all filters with this id. */
  readonly scope: string;
  /** As written: the hosts that they name may be called even if they are private. */
  readonly options: unknown;
}

export interface FilterTools {
  readonly tools: Tools;
  /** Runs what the filter registered, once; lets go of what it kept. */
  close(): void;
}

export function createTools(parts: ToolParts, owner: ToolOwner): FilterTools {
  const log = filterLog(parts.log, owner.name);
  const closers: (() => void)[] = [];
  const held = new Set<string>();
  const hosts = hostsIn(owner.options);
  const keep = <T>(key: string, make: () => T): T => {
    const full = `${owner.id} ${key}`;
    const value = parts.memory.keep(full, held.has(full) ? "known" : "new", make);
    held.add(full);
    return value;
  };
  const leases: (() => void)[] = [];
  const tools: Tools = {
    id: owner.id,
    scope: owner.scope,
    log,
    clock: parts.clock,
    random: parts.random,
    metrics: filterMetrics(parts.meters, owner.name),
    keep,
    shared: (key) => parts.share.counter(`${owner.id} ${key}`),
    limit: (key, rules) => limitOf({ parts, owner, log }, { key, rules, leases }),
    inFlight: (key) => inFlightOf({ parts, owner, log }, { key, leases }),
    call: (service, request) => parts.call(service, request),
    fetch: (url, init) => fetchOutside(parts, hosts, { url, init }),
    connect: (address) => connect(parts.sockets, address),
    file: (path) => parts.open(path),
    onClose(run) {
      if (closers.length >= CLOSERS_MAX) {
        throw new Error(
          `cannot register another onClose of the filter "${owner.name}": wanted at most ${CLOSERS_MAX}`,
        );
      }
      closers.push(run);
    },
  };
  const close = (): void => {
    for (const run of closers.splice(0)) runCloser(run, log);
    for (const giveBack of leases.splice(0)) giveBack();
    for (const key of held) parts.memory.release(key);
    held.clear();
  };
  return { tools, close };
}

interface LeaseParts {
  readonly parts: ToolParts;
  readonly owner: ToolOwner;
  readonly log: Log;
}

interface Wanted {
  readonly key: string;
  /** What gives back what was leased. */
  readonly leases: (() => void)[];
}

function limitOf(
  { parts, owner, log }: LeaseParts,
  { key, rules, leases }: Wanted & { readonly rules: LimitRules },
): Limit {
  checkRoom(leases, owner);
  const name = { table: `${owner.id} ${key}`, scope: owner.scope };
  const dropped = () => parts.meters.count(...droppedKeys, { filter: owner.name });
  const leased = leaseLimit({ share: parts.share, clock: parts.clock, dropped }, name, rules);
  leases.push(leased.giveBack);
  if (!leased.shared) log.warn("each worker counts this limit for itself", noRoom(key));
  return leased.limit;
}

function inFlightOf({ parts, owner, log }: LeaseParts, { key, leases }: Wanted): InFlight {
  checkRoom(leases, owner);
  const leased = parts.share.inFlight(`${owner.id} ${owner.scope} ${key}`);
  if (leased === null) {
    log.warn("each worker counts what is under way for itself", noRoom(key));
    return new ConnectionCount(new Int32Array(1), 0, Int32Array.of(1));
  }
  leases.push(leased.giveBack);
  return leased.value;
}

function checkRoom(leases: readonly unknown[], { name }: ToolOwner): void {
  if (leases.length < LEASES_MAX) return;
  throw new Error(`cannot make another limit of the filter "${name}": wanted at most ${LEASES_MAX}`);
}

function noRoom(key: string): LogFields {
  return { key, reason: "the node has no room left for it" };
}

function runCloser(run: () => void, log: Log): void {
  try {
    run();
  } catch (error) {
    log.error("the filter failed while closing", { error: String(error) });
  }
}

/**
 * What the filters of one worker keep over reloads. The new generation takes its values before the old one lets go,
 * so a value lives until no filter uses it.
 */
export class FilterMemory {
  readonly #values = new Map<string, { readonly value: unknown; users: number }>();

  keep<T>(key: string, user: "new" | "known", make: () => T): T {
    let kept = this.#values.get(key);
    if (kept === undefined) {
      if (this.#values.size >= KEPT_MAX) {
        throw new Error(
          `cannot keep ${JSON.stringify(key)}: the filters of this worker already keep ${KEPT_MAX} values`,
        );
      }
      kept = { value: make(), users: 0 };
      this.#values.set(key, kept);
    }
    if (user === "new") kept.users += 1;
    return kept.value as T;
  }

  release(key: string): void {
    const kept = this.#values.get(key);
    if (kept === undefined) return;
    kept.users -= 1;
    if (kept.users === 0) this.#values.delete(key);
  }

  get size(): number {
    return this.#values.size;
  }
}

function filterLog(log: Log, filter: string): Log {
  const named = (fields: LogFields | undefined): LogFields => ({ filter, ...fields });
  return {
    debug: (message, fields) => log.debug(message, named(fields)),
    info: (message, fields) => log.info(message, named(fields)),
    warn: (message, fields) => log.warn(message, named(fields)),
    error: (message, fields) => log.error(message, named(fields)),
  };
}

function filterMetrics(meters: Meters, filter: string): FilterMetrics {
  const help = `Made by the filter ${filter}`;
  // Filters count at each request, and mostly the same thing.
  let latest = "";
  let latestTotal = "";
  const total = (name: string): string => {
    if (name !== latest) {
      latestTotal = `clearway_filter_${metricName(name)}_total`;
      latest = name;
    }
    return latestTotal;
  };
  return {
    count: (name, labels) => meters.count(total(name), help, labels),
    observe: (name, milliseconds) =>
      meters.observe(`clearway_filter_${metricName(name)}_seconds`, help, milliseconds),
  };
}

function metricName(name: string): string {
  if (/^[a-z][a-z0-9_]*$/.test(name)) return name;
  throw new Error(`cannot measure under ${JSON.stringify(name)}: wanted a name such as refused_tokens`);
}

/** Bun's fetch takes more than the standard: false keeps it from the proxies that the environment names. */
interface OutsideInit extends RequestInit {
  readonly proxy: false;
}

async function fetchOutside(
  parts: ToolParts,
  hosts: ReadonlySet<string>,
  call: { readonly url: string; readonly init: RequestInit | undefined },
): Promise<Response> {
  const target = checkedTarget(call.url, hosts);
  const timeout = new AbortController();
  const cancel = parts.clock.after(FETCH_TIMEOUT_MS, () =>
    timeout.abort(new Error(`cannot fetch ${target.origin}: no answer within ${FETCH_TIMEOUT_MS} ms`)),
  );
  const given = call.init?.signal;
  const signal = given ? AbortSignal.any([given, timeout.signal]) : timeout.signal;
  const init: OutsideInit = { ...call.init, signal, redirect: "manual", proxy: false };
  try {
    return decoded(await parts.fetch(target.href, init as RequestInit));
  } finally {
    cancel();
  }
}

/**
 * The host's fetch has undone the content coding but left the fields that tell of it; sent on as they are, they
 * would garble the body.
 */
function decoded(response: Response): Response {
  if (!response.headers.has("content-encoding")) return response;
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** For filters that only send; what the other side says is dropped, a connection that it ends is closed. */
function connect(sockets: Sockets, address: Address): Promise<ByteSocket> {
  return new Promise((resolve, reject) => {
    let opened: ByteSocket | null = null;
    const owner: SocketOwner = {
      onOpen(socket) {
        opened = socket;
        resolve(socket);
      },
      onData() {},
      onDrain() {},
      onEnd: () => opened?.end(),
      onClose(error) {
        const where = "unixPath" in address ? address.unixPath : `${address.host}:${address.port}`;
        reject(new Error(`cannot connect to ${where}: ${error?.message ?? "it was closed"}`));
      },
    };
    sockets.connect(address, owner);
  });
}
