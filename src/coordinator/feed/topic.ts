/**
 * What there is to say about one service. Whoever has some earlier state of its instances, known by its tag, is sent what
 * became of it since: the line is made once for all who have the same.
 */

import { ContentTag } from "../registry/content-tag.ts";
import type { ServiceInstances } from "../registry/service-instances.ts";
import type { ServiceRules } from "./service-rules.ts";

/** What a subscriber has that is no state of this service. */
export const NOTHING = "";
/** Tags that are remembered; who has an older one is sent all instances. */
const stepsMax = 64;
const stepIdsMax = 10_000;

const emptyTag = new ContentTag().toString();

/** Whoever is to be told. */
export interface Follower {
  /** There may be something to say about this, at the next `wake`. */
  mark(topic: Topic): void;
  wake(): void;
  /** Whether something of this was not sent to it yet, or was and it has not read on. */
  lacks(topic: Topic): boolean;
}

/** From a tag to the next one. */
interface Step {
  readonly tag: string;
  readonly ids: readonly string[];
}

export class Topic {
  readonly service: string;
  readonly followers = new Set<Follower>();
  rules: ServiceRules;
  readonly #instances: () => ServiceInstances | undefined;
  readonly #touched = new Set<string>();
  #steps: Step[] = [];
  #tag: string;
  /** By the tag that somebody has, the line that leads to the newest one. */
  readonly #lines = new Map<string, Buffer>();

  constructor(service: string, rules: ServiceRules, instances: () => ServiceInstances | undefined) {
    this.service = service;
    this.rules = rules;
    this.#instances = instances;
    this.#tag = this.#currentTag();
  }

  /** Of the instances as they are now. */
  get tag(): string {
    this.settle();
    return this.#tag;
  }

  get empty(): boolean {
    return this.followers.size === 0 && this.#instances() === undefined;
  }

  touch(ids: readonly string[]): void {
    for (const id of ids) this.#touched.add(id);
  }

  /** For somebody who has another tag than the newest. */
  lineSince(tag: string): Buffer {
    this.settle();
    const known = this.#lines.get(tag);
    if (known !== undefined) return known;
    // A tag comes back when a change is taken back: who has it misses only what came after the last time.
    const start = this.#steps.findLastIndex((step) => step.tag === tag);
    if (start === -1) return this.#all();
    const line = this.#changed(start);
    this.#lines.set(tag, line);
    return line;
  }

  /** What changed since the last time becomes a step. */
  settle(): void {
    const tag = this.#currentTag();
    if (tag !== this.#tag) {
      this.#steps.push({ tag: this.#tag, ids: [...this.#touched] });
      this.#tag = tag;
      this.#lines.clear();
      this.#forgetOldSteps();
    }
    // Under an equal tag the instances are what they were.
    this.#touched.clear();
  }

  #forgetOldSteps(): void {
    let count = 0;
    let first = this.#steps.length;
    while (first > 0 && this.#steps.length - first < stepsMax) {
      count += this.#steps[first - 1]!.ids.length;
      if (count > stepIdsMax) break;
      first -= 1;
    }
    this.#steps = this.#steps.slice(first);
  }

  #currentTag(): string {
    return this.#instances()?.tag ?? emptyTag;
  }

  #all(): Buffer {
    const known = this.#lines.get(NOTHING);
    if (known !== undefined) return known;
    const instances = this.#instances();
    const texts = [...(instances?.all() ?? [])].map(({ text }) => text);
    const line = Buffer.from(`${this.#start("instances")},"instances":[${texts.join(",")}]}\n`);
    // Without instances it is short, and there may be one for each name that somebody makes up: it is not kept.
    if (instances !== undefined) this.#lines.set(NOTHING, line);
    return line;
  }

  #changed(start: number): Buffer {
    const ids = new Set(this.#steps.slice(start).flatMap((step) => step.ids));
    const instances = this.#instances();
    const put: string[] = [];
    const gone: string[] = [];
    for (const id of ids) {
      const registered = instances?.get(id);
      if (registered === undefined) gone.push(id);
      else put.push(registered.text);
    }
    return Buffer.from(
      `${this.#start("changed")},"put":[${put.join(",")}],"gone":${JSON.stringify(gone)}}\n`,
    );
  }

  #start(kind: "instances" | "changed"): string {
    return `{"kind":"${kind}","service":${JSON.stringify(this.service)},"tag":"${this.#tag}"`;
  }
}
