import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import type { Terminal } from "../../machine.ts";
import type { Appender } from "../../types.ts";

const interactive = { out: isatty(1), error: isatty(2) };
/** Between two tries to write into a pipe that is full. */
const retryMs = 5;

/** For a verb that says its piece and ends: waits for a slow reader, however long. */
export const systemTerminal: Terminal = {
  out: (text) => writeWhole(1, text),
  error: (text) => writeWhole(2, text),
  interactive,
};

/** For a node: a reader that does not read costs lines, never a request. */
export function patientTerminal(open: (path: string) => Appender, flush: () => Promise<void>): Terminal {
  const lineTo = (path: "stdout" | "stderr") => {
    const appender = open(path);
    return (text: string) => {
      appender.line(text);
      flush();
    };
  };
  return { out: lineTo("stdout"), error: lineTo("stderr"), interactive };
}

function writeWhole(descriptor: number, text: string): void {
  const bytes = Buffer.from(`${text}\n`);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      // Pipes are often non-blocking, here or at the other end; with any other error nobody reads any more.
      if ((error as { code?: string }).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs);
    }
  }
}
