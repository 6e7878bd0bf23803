/** The own zone first, and the others as far as it has not enough endpoints that are well. */
import type { Balancer, KeyedRequest } from "./policy.ts";

/** A zone has this many times the endpoints that it needs, as in Envoy: with less than 1 / 1.4 = 71 % well it has too few. */
const provision = 1.4;

export interface ZoneShares {
  /** The own zone's part of the requests, from 0 to 1. */
  readonly local: number;
  /** Whether those that are well, here and elsewhere, can take all requests. */
  readonly enough: "yes" | "no";
}

/** Of the parts of the endpoints that are well, in the own zone and in all others together. */
export function zoneShares(localWell: number, othersWell: number): ZoneShares {
  const local = Math.min(1, provision * localWell);
  const others = Math.min(1 - local, provision * othersWell);
  const sum = local + others;
  return { local: sum === 0 ? 1 : local / sum, enough: sum === 1 ? "yes" : "no" };
}

export interface ZonesParts<E> {
  readonly local: Balancer<E>;
  readonly others: Balancer<E>;
  readonly localShare: number;
  /** From 0 to 1: which part a request belongs to. */
  draw(request: KeyedRequest): number;
}

export class Zones<E> implements Balancer<E> {
  constructor(private readonly parts: ZonesParts<E>) {}

  /** An endpoint that was tried gives way to one of the other part. */
  pick(tried: readonly E[], request: KeyedRequest): E | null {
    const { parts } = this;
    const stays = parts.localShare === 1 || parts.draw(request) < parts.localShare;
    const endpoint = (stays ? parts.local : parts.others).pick(tried, request);
    if (endpoint !== null && (tried.length === 0 || !tried.includes(endpoint))) return endpoint;
    const elsewhere = (stays ? parts.others : parts.local).pick(tried, request);
    if (elsewhere === null || tried.includes(elsewhere)) return endpoint ?? elsewhere;
    return elsewhere;
  }
}
