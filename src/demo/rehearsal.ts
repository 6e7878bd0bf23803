/** What happens to the config while the demo runs: by its own hand when it runs for a while, or by yours. */
import { brokenConfig } from "./gateway.ts";
import type { GatewayView } from "./gateway-view.ts";

export interface Act {
  readonly atMs: number;
  readonly says: string;
  readonly config: string;
}

/** Shorter runs have no time to show a change taking effect. */
const shortestMs = 6000;

/** A right change, a broken one, and the right one again. */
export function rehearsal(forMs: number | null, next: string): Act[] {
  if (forMs === null || forMs < shortestMs) return [];
  return [
    { atMs: forMs * 0.3, says: "saved a change: products 90/10 becomes 60/40", config: next },
    { atMs: forMs * 0.6, says: "saved a broken file", config: brokenConfig(next) },
    { atMs: forMs * 0.8, says: "saved the right file again", config: next },
  ];
}

export type ReloadEvent =
  | { readonly kind: "live"; readonly text: string }
  | { readonly kind: "refused"; readonly text: string }
  | { readonly kind: "restored"; readonly text: string };

/** Tells what a gateway made of the saved files by comparing what it says of itself. */
export class ReloadWatch {
  readonly counts = { live: 0, refused: 0, restored: 0 };
  #last: GatewayView | null = null;

  /** Null when nothing happened since the last look. */
  look(view: GatewayView): ReloadEvent | null {
    const last = this.#last;
    this.#last = view;
    const event = last === null ? null : eventBetween(last, view);
    if (event !== null) this.counts[event.kind] += 1;
    return event;
  }
}

function eventBetween(last: GatewayView, view: GatewayView): ReloadEvent | null {
  if (view.version !== last.version) return { kind: "live", text: `live as version ${view.version}` };
  if (view.problem === last.problem) return null;
  if (view.problem === null)
    return { kind: "restored", text: `the file is again what version ${view.version} serves` };
  return {
    kind: "refused",
    text: `broken file refused, version ${view.version} keeps serving: ${view.problem}`,
  };
}
