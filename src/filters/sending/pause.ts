import type { Clock } from "../../plugin.ts";

/** Resolves after so many milliseconds, or as soon as nobody waits for the request any more. */
export function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const cancel = clock.after(milliseconds, () => {
      signal.removeEventListener("abort", over);
      resolve();
    });
    const over = () => {
      cancel();
      resolve();
    };
    signal.addEventListener("abort", over, { once: true });
  });
}
