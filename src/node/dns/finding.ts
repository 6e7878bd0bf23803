/** From the places that a name leads to, to the endpoints of a service: what cannot be used is left out, and said. */

import type { Datagrams } from "../../machine.ts";
import type { EndpointConfig } from "../../snapshot.ts";
import { ADDRESSES_MAX, byAddress, type Family, familyOf, isUsable, routedFamilies } from "./addresses.ts";
import type { Found } from "./found.ts";

/** What one lookup came to. */
export interface Finding {
  /** `nothing` was said by a server that knows; after `failed`, what was known holds. */
  readonly result: "found" | "nothing" | "failed";
  /** In an order that does not depend on the answer's. */
  readonly endpoints: readonly EndpointConfig[];
  /** By the clock; then it is to be looked up again. */
  readonly freshUntilMs: number;
  /** Why there is nothing, or why not all of it is fresh. */
  readonly problem: string | null;
  /** What was left out of the answer, and why. */
  readonly notes: readonly string[];
}

export interface Place {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
}

/** Addresses that a message lists. */
const LISTED_MAX = 3;

export async function findingOf(found: Found<Place>, name: string, datagrams: Datagrams): Promise<Finding> {
  const { freshUntilMs } = found;
  if (found.kind !== "found") {
    return { result: found.kind, endpoints: [], freshUntilMs, problem: `${name}: ${found.why}`, notes: [] };
  }
  const places = merged(found.items);
  const usable = places.filter(({ address }) => isUsable(address));
  if (usable.length === 0) {
    // An answer to be mistrusted, as some filters give it: not one after which nobody is left.
    const problem = `${name}: nobody can be reached at its addresses: ${listed(places)}`;
    return { result: "failed", endpoints: [], freshUntilMs, problem, notes: [] };
  }
  const families = await routedFamilies(
    datagrams,
    usable.map(({ address }) => address),
  );
  // With no route at all the network is down, and nobody knows what it has when it is back.
  const routed = usable.filter(({ address }) => families.size !== 1 || families.has(familyOf(address)));
  const endpoints = routed.slice(0, ADDRESSES_MAX).map(
    ({ address, port, weight }): EndpointConfig => ({
      address: { host: address, port },
      weight,
      zone: null,
      version: null,
    }),
  );
  const problem = found.stale === null ? null : `${name}: ${found.stale}`;
  return {
    result: "found",
    endpoints,
    freshUntilMs,
    problem,
    notes: notesOn({ places, usable, routed, families }),
  };
}

function notesOn(kept: {
  readonly places: readonly Place[];
  readonly usable: readonly Place[];
  readonly routed: readonly Place[];
  readonly families: ReadonlySet<Family>;
}): string[] {
  const { places, usable, routed, families } = kept;
  const notes: string[] = [];
  if (usable.length < places.length) {
    const unusable = places.filter((place) => !usable.includes(place));
    notes.push(`nobody can be reached at ${listed(unusable)}: left out`);
  }
  if (routed.length < usable.length) {
    const missing = families.has("IPv4") ? "IPv6" : "IPv4";
    notes.push(
      `this machine has no route to ${missing} addresses: ${usable.length - routed.length} left out`,
    );
  }
  if (routed.length > ADDRESSES_MAX) {
    notes.push(`${routed.length} addresses: the first ${ADDRESSES_MAX} are used`);
  }
  return notes;
}

/** Each address and port once, with the largest of its weights, in order. */
function merged(places: readonly Place[]): Place[] {
  const unique = new Map<string, Place>();
  for (const place of places) {
    const key = `${place.address} ${place.port}`;
    const known = unique.get(key);
    if (known === undefined || known.weight < place.weight) unique.set(key, place);
  }
  return [...unique.values()].sort(
    (left, right) => byAddress(left.address, right.address) || left.port - right.port,
  );
}

function listed(places: readonly Place[]): string {
  const addresses = [...new Set(places.map(({ address }) => address))];
  const shown = addresses.slice(0, LISTED_MAX).join(", ");
  return addresses.length > LISTED_MAX ? `${shown} and ${addresses.length - LISTED_MAX} more` : shown;
}
