import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../program.ts";

/** A node as a child process, and what it says. */
export class TestNode {
  readonly file: string;
  text = "";
  readonly ended: Promise<number | null>;
  readonly #child: ReturnType<typeof start>;
  readonly #waiting = new Set<() => void>();
  #code: number | null | undefined;

  constructor(command: readonly string[], file: string) {
    this.file = file;
    this.#child = start([...command]);
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) {
        this.text += Buffer.from(chunk).toString();
        for (const check of this.#waiting) check();
      }
    };
    const read1 = read(this.#child.stdout);
    const read2 = read(this.#child.stderr);
    this.ended = Promise.all([this.#child.exited, read1, read2]).then(([code]) => {
      this.#code = code;
      for (const check of this.#waiting) check();
      return code;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the text matches, from the beginning or from `since` on. */
  said(pattern: RegExp, since = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!pattern.test(this.text.slice(since))) {
          if (this.#code === undefined) return;
          reject(new Error(`ended with ${this.#code} before it said ${pattern}: ${this.text}`));
        }
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Saves the file and waits for what the node says about it. */
  async save(content: string, pattern: RegExp): Promise<void> {
    const since = this.text.length;
    writeFileSync(this.file, content);
    await this.said(pattern, since);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Process ids of the workers. */
  get workers(): number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8");
    return children
      .split(" ")
      .filter((pid) => pid !== "")
      .map(Number);
  }
}

function start(command: string[]) {
  return Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

/** A path for a config file in a new folder. */
export function newFile(name: string, content: string): string {
  const file = join(mkdtempSync(join(tmpdir(), "clearway-node-")), name);
  writeFileSync(file, content);
  return file;
}

/** Resolves when there is no such process any more, or only its body. */
export async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      if (/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return;
    } catch {
      return;
    }
    await Bun.sleep(5);
  }
}

/** Resolves when nobody listens on the port any more. */
export function refused(port: number): Promise<unknown> {
  const outcome = () =>
    fetch(`http://127.0.0.1:${port}/`, { keepalive: false }).then(
      () => "answered",
      (error: Error & { code: string }) => error.code,
    );
  return until(outcome, (seen) => seen === "ECONNREFUSED");
}
