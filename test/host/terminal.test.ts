import { expect, test } from "bun:test";
import { join } from "node:path";
import { patientTerminal } from "../../src/host/terminal/node.ts";

// Seen: the end of what `check` said was lost when its reader was slower than the pipe is long.
test("terminal.out waits for a reader that is slow", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "terminal-program.ts")], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  let length = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    length += value.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([await child.exited, length]).toEqual([0, 2_000_001]);
  expect(await new Response(child.stderr).text()).toBe("done\n");
});

test("patientTerminal hands lines to the appenders and has them written at once", () => {
  const said: string[] = [];
  const open = (path: string) => ({ line: (text: string) => void said.push(`${path} ${text}`), dropped: 0 });
  const terminal = patientTerminal(open, async () => void said.push("flush"));
  terminal.out("a");
  terminal.error("b");
  expect(said).toEqual(["stdout a", "flush", "stderr b", "flush"]);
});
