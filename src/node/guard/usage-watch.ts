/** What the operating system says of the workers, once a second: their memory, and whether they were busy. */
import type { ProcessUsage } from "../../machine.ts";

/** Of one process: more seconds than a worker may be silent. */
const samplesMax = 6;

interface Sample {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly residentBytes: number;
}

interface Book {
  readonly samples: Sample[];
  /** When a plugin was changed last, or at first. */
  baseBytes: number;
  /** Looks in a row at which it was above the limit. */
  above: number;
}

export interface Memory {
  readonly residentBytes: number;
  readonly baseBytes: number;
  /** Seconds in a row above the limit. */
  readonly above: number;
}

export class UsageWatch {
  readonly #usage: (pid: number) => Promise<ProcessUsage | null>;
  readonly #books = new Map<number, Book>();
  /** The least that any process had at first: what one has before it served anything. */
  #freshBytes = Number.POSITIVE_INFINITY;

  constructor(usage: (pid: number) => Promise<ProcessUsage | null>) {
    this.#usage = usage;
  }

  /** To be called once a second, and before `changed`, with all processes that there are. */
  async look(pids: readonly number[], limitBytes: number, nowMs: number): Promise<void> {
    const usages = await Promise.all(pids.map((pid) => this.#usage(pid)));
    for (const pid of this.#books.keys()) if (!pids.includes(pid)) this.#books.delete(pid);
    for (const [at, pid] of pids.entries()) {
      const usage = usages[at];
      if (usage == null) continue;
      const { residentBytes, cpuSeconds } = usage;
      this.#freshBytes = Math.min(this.#freshBytes, residentBytes);
      const book = this.#books.get(pid) ?? { samples: [], baseBytes: this.#freshBytes, above: 0 };
      book.samples.push({ atMs: nowMs, cpuMs: cpuSeconds * 1000, residentBytes });
      if (book.samples.length > samplesMax) book.samples.shift();
      book.above = residentBytes > limitBytes ? book.above + 1 : 0;
      this.#books.set(pid, book);
    }
  }

  /** Memory is compared with what it is now. */
  changed(): void {
    for (const book of this.#books.values()) book.baseBytes = book.samples.at(-1)!.residentBytes;
  }

  /** Null when the system does not tell. */
  memoryOf(pid: number): Memory | null {
    const book = this.#books.get(pid);
    if (book === undefined) return null;
    const { baseBytes, above } = book;
    return { residentBytes: book.samples.at(-1)!.residentBytes, baseBytes, above };
  }

  /** Which share of the time since then the process had a processor; null when nobody knows. */
  busyShare(pid: number, sinceMs: number): number | null {
    const samples = this.#books.get(pid)?.samples.filter(({ atMs }) => atMs >= sinceMs) ?? [];
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || first === last) return null;
    return (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs);
  }
}
