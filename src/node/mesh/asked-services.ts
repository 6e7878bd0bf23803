/** Services that the app asks for beside those that its sidecar's role names: found in the mesh, or not. */
import type { Clock } from "../../machine.ts";
import { type MeshKnowledge, ruleState } from "./mesh-view.ts";

export interface AskedParts {
  readonly clock: Clock;
  knowledge(): MeshKnowledge | null;
  /** Others are to be heard of than before: `subscribed`. */
  follow(): void;
}

/** That are used at a time: the first that was asked for is forgotten, until it is asked for again. */
export const ASKED_MAX = 500;
/** As long as the requests wait. */
const answerMs = 2_000;

interface Question {
  readonly services: readonly string[];
  /** With those that the mesh has not. */
  answer(missing: readonly string[]): void;
}

export class AskedServices {
  readonly #parts: AskedParts;
  #used: readonly string[] = [];
  readonly #questions = new Set<Question>();

  constructor(parts: AskedParts) {
    this.#parts = parts;
  }

  /** Those that the mesh has. */
  get used(): readonly string[] {
    return this.#used;
  }

  /** Whom to hear of. */
  get subscribed(): readonly string[] {
    return [...this.#used, ...[...this.#questions].flatMap(({ services }) => services)];
  }

  /** Of a former run, what it used goes on to be used. */
  restore(services: readonly string[]): void {
    this.#use(services.filter((name) => ruleState(this.#parts.knowledge(), name) === "known"));
  }

  /** Resolves with those that the mesh has not; of some it may not be heard in time. */
  find(services: readonly string[]): Promise<readonly string[]> {
    // What was heard of them when they were asked for last is forgotten, for nothing was heard since.
    if (this.#missing(services).length > 0) this.#parts.follow();
    return new Promise((resolve) => {
      const question: Question = {
        services,
        answer: (missing) => {
          cancel();
          this.#questions.delete(question);
          resolve(missing);
        },
      };
      const cancel = this.#parts.clock.after(answerMs, () => question.answer(this.#missing(services)));
      this.#questions.add(question);
      this.#parts.follow();
      this.heard();
    });
  }

  /** The mesh said something. */
  heard(): void {
    const state = (name: string) => ruleState(this.#parts.knowledge(), name);
    this.#use([...this.#used.filter((name) => state(name) !== "missing"), ...this.#found()]);
    for (const question of [...this.#questions]) {
      const { services } = question;
      if (services.every((name) => state(name) !== "unheard")) question.answer(this.#missing(services));
    }
  }

  #found(): string[] {
    const asked = [...this.#questions].flatMap(({ services }) => services);
    return asked.filter((name) => ruleState(this.#parts.knowledge(), name) === "known");
  }

  #missing(services: readonly string[]): string[] {
    return services.filter((name) => ruleState(this.#parts.knowledge(), name) === "missing");
  }

  #use(services: readonly string[]): void {
    this.#used = [...new Set(services)].slice(-ASKED_MAX);
  }
}
