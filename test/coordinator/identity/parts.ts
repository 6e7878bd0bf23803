/** An authority in virtual time, and what its tests ask of it. */

import { requestCertificate } from "../../../src/certificate-request.ts";
import { Authority } from "../../../src/coordinator/identity/authority.ts";
import type { GivenAuthority } from "../../../src/coordinator/identity/given-authority.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import type { Store } from "../../../src/coordinator/store/store.ts";
import { systemRandom } from "../../../src/host/random/node.ts";
import type { Clock } from "../../../src/machine.ts";
import type { LogLine } from "../../../src/testing/nouns.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { VirtualClock } from "../../virtual-clock.ts";

export const payments = { trustDomain: "store.example", service: "payments" };
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export interface Made {
  readonly authority: Authority;
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly logged: readonly LogLine[];
  issue(service?: string): ReturnType<Authority["issue"]>;
}

export async function makeAuthority(
  wish: { store?: Store; clock?: VirtualClock; given?: GivenAuthority | null; setBackMs?: number } = {},
): Promise<Made> {
  const { store = new MemoryStore(), clock = new VirtualClock(), given = null, setBackMs = 0 } = wish;
  const recorders = new Recorders(() => {});
  const authority = await Authority.open({
    store,
    clock: setBack(clock, setBackMs),
    random: systemRandom(),
    log: recorders.log,
    given,
  });
  const issue = async (service = payments.service) => {
    const accepted = await authority.accept((await requestCertificate()).request);
    return authority.issue(accepted, { identity: { ...payments, service }, node: null });
  };
  return { authority, store, clock, logged: recorders.logged, issue };
}

/** The same time by another clock. */
export function setBack(clock: Clock, ms: number): Clock {
  return {
    now: () => clock.now(),
    epochMs: () => clock.epochMs() - ms,
    after: (delayMs, run) => clock.after(delayMs, run),
    every: (periodMs, run) => clock.every(periodMs, run),
  };
}

/** The reason of a refusal; anything else is thrown on. */
export async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "none";
}
