/** Endpoints that answer as told, on a virtual clock, and requests to them at a steady rate. */
import { EndpointLoad } from "../../../src/runtime/balance/load.ts";
import type { Balancer, KeyedRequest } from "../../../src/runtime/balance/policy.ts";
import { type SelectionConfig, Selector } from "../../../src/runtime/balance/selection.ts";
import { Standing } from "../../../src/runtime/balance/standing.ts";
import type { LoadBalancing } from "../../../src/snapshot.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";

export interface Endpoint {
  readonly name: string;
  readonly zone: string | null;
  readonly load: EndpointLoad;
  readonly standing: Standing;
  /** How long it takes for an answer, or before it fails. */
  answerMs: number;
  fails: boolean;
  requests: number;
}

export interface Sort {
  readonly weight?: number;
  readonly zone?: string;
  readonly answerMs?: number;
  readonly fails?: boolean;
}

export interface World {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly endpoints: readonly Endpoint[];
  readonly balancer: Balancer<Endpoint>;
}

/** A request that is tied to nothing. */
export const anyRequest: KeyedRequest = { keyValue: () => null };

/** One with this value for whatever key. */
export function keyed(value: string): KeyedRequest {
  return { keyValue: () => value };
}

export const policies: readonly LoadBalancing[] = [
  { policy: "least-latency" },
  { policy: "round-robin" },
  { policy: "least-request" },
  { policy: "random" },
  { policy: "ring-hash", key: { by: "ip" } },
];

export function endpoint(name: string, sort: Sort, clock: VirtualClock): Endpoint {
  const { weight = 1, zone = null, answerMs = 5, fails = false } = sort;
  const load = new EndpointLoad(weight, clock);
  return { name, zone, load, standing: new Standing(), answerMs, fails, requests: 0 };
}

export interface WorldOptions {
  readonly seed?: number;
  readonly zone?: string;
  readonly config?: Partial<SelectionConfig>;
}

/** Endpoints `a`, `b`, `c` ... and a selector for them. */
export function createWorld(
  loadBalancing: LoadBalancing,
  sorts: readonly Sort[],
  options: WorldOptions = {},
) {
  const clock = new VirtualClock();
  const random = new SeededRandom(options.seed ?? 7);
  const endpoints = sorts.map((sort, index) => endpoint("abcdefghij"[index]!, sort, clock));
  const config = { loadBalancing, slowStartMs: 0, panicShare: 0, ...options.config };
  const selector = new Selector<Endpoint>(config, options.zone ?? null, { clock, random });
  return { clock, random, endpoints, selector, balancer: selector.select(endpoints).balancer };
}

export interface SteadyLoad {
  readonly perSecond: number;
  readonly seconds: number;
  /** In which nothing is read: what is answered meanwhile is seen at their end. */
  readonly pauses?: { readonly everyMs: number; readonly forMs: number };
}

function lateMs(atMs: number, pauses: SteadyLoad["pauses"]): number {
  if (pauses === undefined) return 0;
  return Math.max(0, pauses.forMs - (atMs % pauses.everyMs));
}

/** Sends requests, whether or not the ones before have been answered. Returns each endpoint's share. */
export function send(world: World, load: SteadyLoad): number[] {
  const { clock, balancer, endpoints } = world;
  for (const each of endpoints) each.requests = 0;
  const total = load.perSecond * load.seconds;
  for (let count = 0; count < total; count += 1) {
    const picked = balancer.pick([], anyRequest)!;
    picked.requests += 1;
    const startedMs = picked.load.begin();
    clock.after(picked.answerMs + lateMs(clock.now() + picked.answerMs, load.pauses), () =>
      picked.fails ? picked.load.failed(startedMs) : picked.load.answered(startedMs),
    );
    clock.advance(1000 / load.perSecond);
  }
  return endpoints.map(({ requests }) => requests / total);
}

/** Picks that nothing is sent after. Returns each endpoint's share. */
export function pickShares({ balancer, endpoints }: Pick<World, "balancer" | "endpoints">, count = 20_000) {
  const picks = new Map<Endpoint, number>();
  for (let index = 0; index < count; index += 1) {
    const picked = balancer.pick([], keyed(`caller ${index}`))!;
    picks.set(picked, (picks.get(picked) ?? 0) + 1);
  }
  return endpoints.map((each) => (picks.get(each) ?? 0) / count);
}

export function expectShares(found: readonly number[], wanted: readonly number[], tolerance: number): void {
  const far = found.some((share, index) => Math.abs(share - wanted[index]!) > tolerance);
  if (far || found.length !== wanted.length)
    throw new Error(`shares ${found.map((share) => share.toFixed(3))}, wanted ${wanted} within ${tolerance}`);
}
