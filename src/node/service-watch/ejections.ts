/** What outlier detection found in one worker, for the others: each endpoint until its ejection ends. */

import type { Clock } from "../../machine.ts";
import type { Ejection, ServiceState } from "../../snapshot.ts";

/** Of the whole node; further ones stay with the worker that saw the errors. */
export const EJECTIONS_MAX = 10_000;

export class Ejections {
  readonly #clock: Clock;
  readonly #byEndpoint = new Map<string, Ejection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(ejections: readonly Ejection[]): void {
    this.#forgetEnded();
    for (const ejection of ejections) {
      const key = JSON.stringify([ejection.service, ejection.endpoint]);
      const known = this.#byEndpoint.get(key);
      if (known === undefined && this.#byEndpoint.size >= EJECTIONS_MAX) continue;
      if (known === undefined || known.untilEpochMs < ejection.untilEpochMs)
        this.#byEndpoint.set(key, ejection);
    }
  }

  of(service: string): ServiceState["ejected"] {
    this.#forgetEnded();
    return [...this.#byEndpoint.values()]
      .filter((ejection) => ejection.service === service)
      .map(({ endpoint, untilEpochMs }) => ({ endpoint, untilEpochMs }));
  }

  #forgetEnded(): void {
    const now = this.#clock.epochMs();
    for (const [key, { untilEpochMs }] of this.#byEndpoint)
      if (untilEpochMs <= now) this.#byEndpoint.delete(key);
  }
}
