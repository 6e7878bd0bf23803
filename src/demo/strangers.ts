/** Those who may not call payments and try: through their own sidecars, and straight at the port of one of payments. */
import type { Clock } from "../machine.ts";
import { type Pause, wait } from "./pause.ts";

export interface Stranger {
  readonly name: string;
  /** Where it sends its charge. */
  readonly url: string;
}

export interface StrangerCount {
  tried: number;
  refused: number;
  /** What the last refusal said; empty before the first one. */
  answer: string;
}

export interface StrangerParts {
  readonly clock: Clock;
  readonly pause: Pause;
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

const betweenMs = 500;
const answerTimeoutMs = 5000;

export class Strangers {
  readonly counts: ReadonlyMap<string, StrangerCount>;
  readonly #parts: StrangerParts;
  readonly #strangers: readonly Stranger[];
  #stopping = false;
  #done: Promise<void> = Promise.resolve();

  constructor(parts: StrangerParts, strangers: readonly Stranger[]) {
    this.#parts = parts;
    this.#strangers = strangers;
    this.counts = new Map(strangers.map(({ name }) => [name, { tried: 0, refused: 0, answer: "" }]));
  }

  start(): void {
    this.#done = this.#keepTrying();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #keepTrying(): Promise<void> {
    while (!this.#stopping) {
      await Promise.all(this.#strangers.map((stranger) => this.#try(stranger)));
      await wait(this.#parts.clock, betweenMs);
    }
  }

  async #try({ name, url }: Stranger): Promise<void> {
    const count = this.counts.get(name)!;
    const answer = await this.#charge(url);
    count.tried += 1;
    // Whoever was let in has a receipt; an answer of 2xx is never a refusal.
    if (answer === null) return;
    count.refused += 1;
    count.answer = answer;
  }

  /** Null when payments took the charge. */
  async #charge(url: string): Promise<string | null> {
    const giveUp = new AbortController();
    const cancel = this.#parts.clock.after(answerTimeoutMs, () => giveUp.abort());
    try {
      const response = await this.#parts.fetch(`${url}/charge`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ account: "a-1001", amountCents: 1 }),
        signal: giveUp.signal,
      });
      await response.body?.cancel();
      if (response.ok) return null;
      const reason = response.headers.get("x-clearway-reason");
      return reason === null ? `${response.status}` : `${response.status} ${reason}`;
    } catch {
      return "no answer";
    } finally {
      cancel();
    }
  }
}
