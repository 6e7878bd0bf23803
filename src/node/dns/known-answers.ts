/**
 * Answers, kept for as long as their time to live says, and the last good one for as long as nobody can say otherwise:
 * a server that is away changes nothing (RFC 8767), and "there is nothing" counts when it was said twice in a row.
 */
import type { Clock, Random } from "../../machine.ts";
import type { Answer } from "./answer.ts";
import type { Question } from "./message.ts";

/** More are forgotten, the longest unasked first. */
export const KNOWN_MAX = 20_000;
/** What is not there, or could not be asked for, is asked for again after at most this long. */
export const RETRY_MAX_MS = 30_000;
/** A good answer is given up when "there is nothing" was said as often as this. */
const DENIALS_WANTED = 2;
/** Answers that are due together are asked for within this share of their time to live. */
const JITTER_SHARE = 0.1;

/** How long an answer may be kept, whatever its time to live. */
export interface Bounds {
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
}

export interface Known {
  readonly answer: Answer;
  /** By the clock; then it is to be asked for again. */
  readonly freshUntilMs: number;
  /** Why this is an older answer than was wanted; null for a fresh one. */
  readonly staleBecause: string | null;
}

export interface KnownAnswersParts {
  readonly clock: Clock;
  readonly random: Random;
  ask(question: Question): Promise<Answer>;
}

interface Entry extends Known {
  /** In a row. */
  readonly failures: number;
  readonly denials: number;
}

const UNASKED = { failures: 0, denials: 0 };

export class KnownAnswers {
  readonly #parts: KnownAnswersParts;
  readonly #entries = new Map<string, Entry>();
  readonly #asked = new Map<string, Promise<Entry>>();

  constructor(parts: KnownAnswersParts) {
    this.#parts = parts;
  }

  /** Asks when nothing fresh is known; never rejects. */
  async find(question: Question, bounds: Bounds): Promise<Known> {
    const key = JSON.stringify([question, bounds]);
    const known = this.#entries.get(key) ?? null;
    if (known !== null && known.freshUntilMs > this.#parts.clock.now()) return this.#keep(key, known);
    const asked = this.#asked.get(key) ?? this.#askAgain(key, question, bounds);
    this.#asked.set(key, asked);
    return asked;
  }

  /** Nothing is fresh any more; what was good is still the last good. */
  expire(): void {
    for (const [key, entry] of this.#entries) this.#entries.set(key, { ...entry, freshUntilMs: -Infinity });
  }

  async #askAgain(key: string, question: Question, bounds: Bounds): Promise<Entry> {
    const answer = await this.#parts.ask(question);
    this.#asked.delete(key);
    return this.#keep(key, this.#merge(this.#entries.get(key) ?? null, answer, bounds));
  }

  #merge(known: Entry | null, answer: Answer, { refreshMinMs, refreshMaxMs }: Bounds): Entry {
    const retryMaxMs = Math.min(RETRY_MAX_MS, refreshMaxMs);
    const before = known ?? UNASKED;
    const after = (delayMs: number, delayMaxMs: number) =>
      this.#after(Math.max(refreshMinMs, Math.min(delayMs, delayMaxMs)));
    if (answer.kind === "failed") {
      const kept = known === null || known.answer.kind === "failed" ? answer : known.answer;
      const freshUntilMs = after(refreshMinMs * 2 ** Math.min(before.failures, 20), retryMaxMs);
      return {
        ...before,
        answer: kept,
        failures: before.failures + 1,
        staleBecause: answer.why,
        freshUntilMs,
      };
    }
    const ttlMs = answer.ttlSeconds === null ? retryMaxMs : answer.ttlSeconds * 1000;
    if (answer.kind === "records") {
      return { ...UNASKED, answer, staleBecause: null, freshUntilMs: after(ttlMs, refreshMaxMs) };
    }
    const denials = before.denials + 1;
    // One wrong answer of one server must not empty a service.
    if (known?.answer.kind === "records" && denials < DENIALS_WANTED) {
      return { ...known, failures: 0, denials, staleBecause: answer.why, freshUntilMs: after(0, 0) };
    }
    return { answer, failures: 0, denials, staleBecause: null, freshUntilMs: after(ttlMs, retryMaxMs) };
  }

  #after(delayMs: number): number {
    return this.#parts.clock.now() + delayMs * (1 + JITTER_SHARE * this.#parts.random.fraction());
  }

  /** The newest stands last. */
  #keep(key: string, entry: Entry): Entry {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KNOWN_MAX) this.#entries.delete(oldest!);
    return entry;
  }
}
