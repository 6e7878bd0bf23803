/** A route's requests shared out by weight: among services, or among the versions of one. */
import type { Random } from "../machine.ts";
import type { KeyedRequest } from "./balance/policy.ts";
import type { Candidates, Endpoint, Waiter } from "./endpoint.ts";
import type { Destination, Service } from "./service.ts";

export interface WeightedTarget extends Destination {
  /** Null for endpoints of whatever version. */
  readonly version: string | null;
  readonly weight: number;
}

/** Endpoints of one version, and for tries that these cannot take those of the versions beside it in the split. */
export class SplitCandidates implements Candidates {
  readonly #service: Service;
  readonly #version: string;
  readonly #others: readonly string[];

  constructor(service: Service, version: string, others: readonly string[]) {
    this.#service = service;
    this.#version = version;
    this.#others = others;
  }

  get size(): number {
    return this.#all.reduce((sum, { size }) => sum + size, 0);
  }

  get emptiness(): string {
    return this.#own.emptiness;
  }

  /** An endpoint that was tried gives way to one of another version. */
  pick(tried: readonly Endpoint[], request: KeyedRequest): Endpoint | null {
    const own = this.#own.pick(tried, request);
    if (own !== null && (tried.length === 0 || !tried.includes(own))) return own;
    for (const other of this.#others) {
      const endpoint = this.#service.roster.ofVersion(other).pick(tried, request);
      if (endpoint !== null && !tried.includes(endpoint)) return endpoint;
    }
    return own;
  }

  pickInstead(unreachable: readonly Endpoint[], waiter: Waiter): Endpoint | null {
    const endpoint = this.pick(waiter.tried, waiter);
    if (endpoint !== null && !unreachable.includes(endpoint)) return endpoint;
    for (const one of this.#all) {
      const other = one.pickInstead(unreachable, waiter);
      if (other !== null) return other;
    }
    return null;
  }

  accepts(endpoint: Endpoint): boolean {
    const own = this.#own;
    return own.isWell ? own.accepts(endpoint) : this.#all.some((one) => one.accepts(endpoint));
  }

  get #own() {
    return this.#service.roster.ofVersion(this.#version);
  }

  get #all() {
    return [this.#version, ...this.#others].map((version) => this.#service.roster.ofVersion(version));
  }
}

/** Where this request goes. */
export function chooseTarget(targets: readonly WeightedTarget[], random: Random): WeightedTarget {
  const first = targets[0]!;
  if (targets.length === 1) return first;
  const drawn = draw(targets, random);
  return drawn.version === null || isWell(drawn) ? drawn : instead(drawn, targets, random);
}

/** Rather another version than nobody: the caller asked for the service. */
function instead(drawn: WeightedTarget, targets: readonly WeightedTarget[], random: Random): WeightedTarget {
  const others = targets.filter(
    (target) => target.service === drawn.service && target.version !== null && isWell(target),
  );
  if (others.every(({ weight }) => weight === 0)) return drawn;
  drawn.service.noteFallback(drawn.version!);
  return draw(others, random);
}

function isWell({ service, version }: WeightedTarget): boolean {
  return service.roster.ofVersion(version!).isWell;
}

/** One of them, by weight; one of weight 0 never. */
export function draw<Each extends { readonly weight: number }>(
  targets: readonly Each[],
  random: Random,
): Each {
  const total = targets.reduce((sum, target) => sum + target.weight, 0);
  let rest = random.fraction() * total;
  for (const target of targets) {
    rest -= target.weight;
    if (rest < 0) return target;
  }
  return targets[0]!;
}
