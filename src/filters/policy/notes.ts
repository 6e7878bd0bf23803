/** What a policy writes into the log: each refusal, but not more of them than somebody can read. */
import type { Clock, Log } from "../../plugin.ts";

const PERIOD_MS = 1_000;
const NOTES_MAX = 10;
/** Of what a caller chose. */
const PATH_CHARACTERS_MAX = 200;

export interface Note {
  readonly verdict: "audited" | "denied";
  readonly who: string;
  readonly method: string;
  readonly path: string;
  readonly rule: string | null;
}

export class Notes {
  readonly #clock: Pick<Clock, "now">;
  readonly #log: Log;
  #startMs = -Infinity;
  #said = 0;
  #unsaid = 0;

  constructor(clock: Pick<Clock, "now">, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  note({ verdict, who, method, path, rule }: Note): void {
    const now = this.#clock.now();
    if (now - this.#startMs >= PERIOD_MS) {
      this.#startMs = now;
      this.#said = 0;
    }
    if (this.#said >= NOTES_MAX) {
      this.#unsaid++;
      return;
    }
    this.#said++;
    const facts = { caller: who, method, path: path.slice(0, PATH_CHARACTERS_MAX), unsaid: this.#unsaid };
    this.#unsaid = 0;
    if (verdict === "audited") {
      this.#log.warn(`let pass by ${rule}: no rule of allow takes ${method} of ${who}`, { ...facts, rule });
    } else this.#log.info(denial(who, rule), { ...facts, rule: null });
  }
}

function denial(who: string, nearest: string | null): string {
  if (nearest === null) return `refused: no rule of allow is about ${who}`;
  return `refused: no rule of allow takes this request; ${nearest} is about ${who}, with another method or path`;
}
