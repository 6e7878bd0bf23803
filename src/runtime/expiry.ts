/** Time limits of single tries. */
import type { Clock } from "../machine.ts";

/**
 * Calls `expired` after so many milliseconds, and after what came by then was read. This process may have had no turn
 * meanwhile, and runs what is due before it looks at its sockets again: an answer that is there already is not late.
 * Returns what cancels it.
 */
export function expiry(clock: Clock, afterMs: number, expired: () => void): () => void {
  let cancel = clock.after(afterMs, () => {
    cancel = clock.after(0, expired);
  });
  return () => cancel();
}
