import { closeSync, fstatSync, openSync, statSync, write, writeSync } from "node:fs";
import type { Clock } from "../../machine.ts";
import type { Appender } from "../../types.ts";

/** Lines are written together: after this time, or as soon as so much waits. */
const flushAfterMs = 100;
const flushAtLength = 64 * 1024;
/** How often a file's name is compared with the file that is open, for programs that rotate logs. */
const rotationCheckMs = 1000;
/** Distinct paths over the life of a process. */
const pathsMax = 256;
const waitingLengthMax = 1024 * 1024;

export interface Appenders {
  /** One appender for each path, however often it is asked for. */
  open(path: string): Appender;
  /** Lines lost so far, of all appenders. */
  readonly dropped: number;
  /** Resolves when everything that waits now is written, or cannot be. */
  flush(): Promise<void>;
}

export function fileAppenders(clock: Clock): Appenders {
  const byPath = new Map<string, FileAppender>();
  process.on("exit", () => {
    for (const appender of byPath.values()) appender.flushAtExit();
  });
  return {
    open(path) {
      const known = byPath.get(path);
      if (known !== undefined) return known;
      if (byPath.size === pathsMax) throw new Error(`cannot open ${path}: ${pathsMax} files are in use`);
      const made = new FileAppender(path, clock);
      byPath.set(path, made);
      return made;
    },
    get dropped() {
      return [...byPath.values()].reduce((sum, appender) => sum + appender.dropped, 0);
    },
    async flush() {
      await Promise.all([...byPath.values()].map((appender) => appender.flush()));
    },
  };
}

/**
 * Writes off the event loop, one write at a time, so that a stuck disk or reader costs lines and never a request.
 * A failed write or open loses the lines that it was for, counted.
 */
class FileAppender implements Appender {
  dropped = 0;
  readonly #path: string;
  readonly #clock: Clock;
  #descriptor: number | null;
  #waiting: string[] = [];
  /** In characters: near enough to bytes for a bound. */
  #waitingLength = 0;
  #scheduled = false;
  #writing: Promise<void> | null = null;
  #checkedAtMs = 0;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#descriptor = this.#standard();
  }

  line(text: string): void {
    if (this.#waitingLength + text.length > waitingLengthMax) {
      this.dropped += 1;
      return;
    }
    this.#waiting.push(text);
    this.#waitingLength += text.length + 1;
    if (this.#waitingLength >= flushAtLength) this.#begin();
    else if (!this.#scheduled) this.#schedule();
  }

  async flush(): Promise<void> {
    await this.#writing;
    this.#begin();
    await this.#writing;
  }

  /** The last resort, when the event loop has ended: what a write under way holds is the system's to finish. */
  flushAtExit(): void {
    if (this.#waiting.length === 0) return;
    try {
      this.#openFile();
      writeSync(this.#descriptor!, this.#take());
    } catch {
      // The process ends; nobody is left to tell.
    }
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#clock.after(flushAfterMs, () => {
      this.#scheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    if (this.#writing !== null || this.#waiting.length === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
      if (this.#waiting.length > 0 && !this.#scheduled) this.#schedule();
    });
  }

  async #write(): Promise<void> {
    const lines = this.#waiting.length;
    const bytes = this.#take();
    try {
      this.#openFile();
      await writeAll(this.#descriptor!, bytes, this.#clock);
    } catch {
      this.dropped += lines;
      this.#closeFile();
    }
  }

  #take(): Buffer {
    const bytes = Buffer.from(`${this.#waiting.join("\n")}\n`);
    this.#waiting = [];
    this.#waitingLength = 0;
    return bytes;
  }

  #standard(): number | null {
    if (this.#path === "stdout") return 1;
    return this.#path === "stderr" ? 2 : null;
  }

  #openFile(): void {
    if (this.#standard() !== null) return;
    const nowMs = this.#clock.now();
    if (this.#descriptor !== null && nowMs - this.#checkedAtMs >= rotationCheckMs) {
      this.#checkedAtMs = nowMs;
      if (!sameFile(this.#path, this.#descriptor)) this.#closeFile();
    }
    this.#descriptor ??= openSync(this.#path, "a", 0o640);
  }

  #closeFile(): void {
    if (this.#standard() !== null || this.#descriptor === null) return;
    closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

function sameFile(path: string, descriptor: number): boolean {
  const named = statSync(path, { throwIfNoEntry: false });
  const opened = fstatSync(descriptor);
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

async function writeAll(descriptor: number, bytes: Buffer, clock: Clock): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await writeSome(descriptor, bytes, done);
    // A pipe that some other process made non-blocking is full: its reader is slow.
    if (written === 0) await new Promise<void>((resolve) => clock.after(flushAfterMs, resolve));
    done += written;
  }
}

function writeSome(descriptor: number, bytes: Buffer, start: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, start, bytes.length - start, null, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === "EAGAIN") resolve(0);
      else reject(error);
    });
  });
}
