/** Waits until an app answers for the first time: a node registers nothing that nobody serves. */
import type { Address, Clock } from "../../machine.ts";
import type { CheckedService, Probe } from "../../runtime/probe.ts";

/** Between two tries; most apps start within seconds. */
const retryMs = { first: 100, later: 1_000 };
const firstTries = 100;

export class AppWatch {
  readonly #clock: Clock;
  readonly #probe: Probe;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(clock: Clock, probe: Probe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  /** `answered` is called once. */
  begin(service: CheckedService, address: Address, answered: () => void): void {
    void this.#try({ service, address, answered }, 1);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #try(
    waiting: { readonly service: CheckedService; readonly address: Address; answered(): void },
    count: number,
  ): Promise<void> {
    const problem = await this.#probe(waiting.service, waiting.address);
    if (this.#closed) return;
    if (problem === null) return waiting.answered();
    const delayMs = count < firstTries ? retryMs.first : retryMs.later;
    this.#cancel = this.#clock.after(delayMs, () => void this.#try(waiting, count + 1));
  }
}
