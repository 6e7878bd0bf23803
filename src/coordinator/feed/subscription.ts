/**
 * One node's feed. It remembers what the node has, not what is to be said: whoever reads slowly is sent the newest state
 * when it reads on, so that at most one line for each of its services waits here.
 */
import type { Caller } from "../caller.ts";
import { feedLine } from "./feed-line.ts";
import type { Follower, Topic } from "./topic.ts";

/** What the lines of one batch may come to; a longer one goes alone. */
const batchBytes = 64 * 1024;

const beatLine = feedLine({ kind: "beat" });

/** What holds for all nodes. */
export interface FeedState {
  readonly meshLine: Buffer;
  readonly liveLine: Buffer;
  now(): number;
  sent(bytes: number): void;
}

export interface FeedEnds {
  /** It reads on: what it was sent before is on its way. */
  heard(): void;
  /** Whom the feed is told to has ended it, or the coordinator has. */
  ended(): void;
  /** Ends its connection at once. */
  abort(): void;
}

export interface KnownTags {
  readonly rules: string;
  readonly instances: string;
}

export class Subscription implements Follower {
  readonly caller: Caller;
  readonly startedAtMs: number;
  readonly #state: FeedState;
  readonly #known = new Map<Topic, KnownTags>();
  /** Topics of which the node may not have the newest. */
  readonly #pending = new Set<Topic>();
  /** What the node was sent last. */
  #meshLine: Buffer | null = null;
  #liveLine: Buffer | null = null;
  #beat: "due" | "no" = "no";
  #readAtMs: number;
  #ready: Buffer[] = [];
  #reader: ((bytes: Buffer | null) => void) | null = null;
  #ended: "no" | "yes" = "no";
  readonly #ends: FeedEnds;

  constructor(caller: Caller, state: FeedState, ends: FeedEnds) {
    this.caller = caller;
    this.#state = state;
    this.#ends = ends;
    this.startedAtMs = state.now();
    this.#readAtMs = this.startedAtMs;
  }

  get topics(): IterableIterator<Topic> {
    return this.#known.keys();
  }

  /** How long lines have waited for somebody to read them. */
  get unreadMs(): number {
    return this.#reader === null ? this.#state.now() - this.#readAtMs : 0;
  }

  follow(topic: Topic, known: KnownTags): void {
    this.#known.set(topic, known);
    this.#pending.add(topic);
  }

  mark(topic: Topic): void {
    this.#pending.add(topic);
  }

  wake(): void {
    this.#deliver();
  }

  lacks(topic: Topic): boolean {
    if (this.#ended === "yes") return false;
    return this.#pending.has(topic) || this.#ready.length > 0 || this.#reader === null;
  }

  beat(): void {
    this.#beat = "due";
    this.#deliver();
  }

  /** Whole lines; null when the feed has ended. One call at a time. */
  next(): Promise<Buffer | null> {
    return new Promise((resolve) => {
      this.#reader = resolve;
      this.#readAtMs = this.#state.now();
      this.#deliver();
      this.#ends.heard();
    });
  }

  /**
   * What is not read yet is dropped. Where nobody waits for the next lines the connection does not take those before, and
   * would be kept until the listener's limit on silence.
   */
  end(): void {
    if (this.#ended === "yes") return;
    const { ended, abort } = this.#ends;
    const isTaken = this.#reader !== null;
    this.#ended = "yes";
    this.#ready = [];
    this.#pending.clear();
    ended();
    if (isTaken) this.#deliver();
    else abort();
  }

  #deliver(): void {
    const reader = this.#reader;
    if (reader === null) return;
    const bytes = this.#ended === "yes" ? null : this.#take();
    if (bytes === null && this.#ended === "no") return;
    this.#reader = null;
    reader(bytes);
  }

  #take(): Buffer | null {
    if (this.#ready.length === 0) this.#ready = joined(this.#batch());
    const bytes = this.#ready.shift() ?? null;
    if (bytes === null) return null;
    this.#beat = "no";
    this.#state.sent(bytes.length);
    return bytes;
  }

  #batch(): Buffer[] {
    const { meshLine, liveLine } = this.#state;
    const lines: Buffer[] = [];
    if (this.#meshLine !== meshLine) lines.push(meshLine);
    this.#meshLine = meshLine;
    let bytes = 0;
    for (const topic of this.#pending) {
      if (bytes >= batchBytes) break;
      this.#pending.delete(topic);
      for (const line of this.#linesOf(topic)) {
        lines.push(line);
        bytes += line.length;
      }
    }
    // Something was said since the last `live`: then this one is another too.
    if (lines.length > 0) this.#liveLine = null;
    if (this.#pending.size === 0 && this.#liveLine !== liveLine) {
      lines.push(liveLine);
      this.#liveLine = liveLine;
    }
    if (lines.length === 0 && this.#beat === "due") lines.push(beatLine);
    return lines;
  }

  #linesOf(topic: Topic): Buffer[] {
    const known = this.#known.get(topic);
    if (known === undefined) return [];
    const rules = topic.rules[topic.service === this.caller.service ? "own" : "caller"];
    const { tag } = topic;
    const lines: Buffer[] = [];
    if (known.rules !== rules.tag) lines.push(rules.line());
    if (known.instances !== tag) lines.push(topic.lineSince(known.instances));
    if (lines.length > 0) this.#known.set(topic, { rules: rules.tag, instances: tag });
    return lines;
  }
}

/** Short lines in one piece; a long one stays what all subscribers share. */
function joined(lines: readonly Buffer[]): Buffer[] {
  const pieces: Buffer[] = [];
  let short: Buffer[] = [];
  const finish = () => {
    if (short.length > 0) pieces.push(short.length === 1 ? short[0]! : Buffer.concat(short));
    short = [];
  };
  for (const line of lines) {
    if (line.length < batchBytes / 4) short.push(line);
    else {
      finish();
      pieces.push(line);
    }
  }
  finish();
  return pieces;
}
