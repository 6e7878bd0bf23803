/** Where a service's endpoints come from when its config does not name them. */
import type { EndpointConfig } from "../../snapshot.ts";
import { addressText } from "../addresses.ts";

/** What `/snapshot` shows. */
export type DiscoveryView = DnsView | RegistryView;

export interface DnsView {
  readonly source: "dns";
  readonly name: string;
  readonly records: "A, AAAA" | "SRV";
  /** When a server last said what holds; null before the first time. */
  readonly answeredAt: string | null;
  readonly ageSeconds: number | null;
  /** Why there is nothing, or nothing newer; null when all is well. */
  readonly problem: string | null;
  readonly problemSince: string | null;
  /** What was left out of the answer, and why. */
  readonly notes: readonly string[];
}

export interface RegistryView {
  readonly source: "registry";
  readonly name: string;
  readonly instances: number;
  readonly unhealthy: number;
  readonly draining: number;
  /** When the registry last said something new; null before the first time. */
  readonly changedAt: string | null;
  /** Why there is no endpoint; null when there is one. */
  readonly problem: string | null;
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

export interface EndpointSource {
  /** Settles when it said something for the first time. */
  readonly first: Promise<void>;
  /** In an order that stays. */
  readonly endpoints: readonly EndpointConfig[];
  /** Addresses as text. */
  readonly unhealthy: readonly string[];
  /** Why there is no endpoint; null when there is one. */
  readonly problem: string | null;
  /** Others are to be asked from now on. */
  askAgain(): void;
  view(): DiscoveryView;
  close(): void;
}

/** Addresses that one log line names. */
const NAMED_MAX = 5;

/** How many there are, who came and who went, for the log. */
export function endpointChange(before: readonly EndpointConfig[], now: readonly EndpointConfig[]) {
  const [old, present] = [before.map(nameOf), now.map(nameOf)];
  const [known, there] = [new Set(old), new Set(present)];
  return {
    endpoints: present.length,
    added: named(present.filter((name) => !known.has(name))),
    removed: named(old.filter((name) => !there.has(name))),
  };
}

function nameOf({ address }: EndpointConfig): string {
  return addressText(address);
}

function named(names: readonly string[]): string {
  const shown = names.slice(0, NAMED_MAX).join(", ");
  return names.length > NAMED_MAX ? `${shown} and ${names.length - NAMED_MAX} more` : shown;
}
