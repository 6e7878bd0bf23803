/** An example that runs a mesh, as its README says: in a copy of the folder, where its state stays. */
import { expect } from "bun:test";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePorts, commandsOf } from "./example.ts";
import { withClearway } from "./page.ts";
import { type Running, root, start, until } from "./program.ts";

/** It keeps running, and this is what it says when it may be called; null for an app, which says nothing. */
const staying: readonly (readonly [RegExp, string | null])[] = [
  [/^npx clearway coordinator /, " coordinates "],
  [/^npx clearway (exec|sidecar|run) /, " serves "],
  [/^npx bun /, null],
];

export async function runMeshExample(example: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "clearway-example-"));
  const ports = await choosePorts();
  const programs = await withClearway(join(folder, "programs"));
  await cp(join(root, "examples"), join(folder, "examples"), { recursive: true });
  const place = { folder, environment: { ...ports.environment, ...programs } };
  const running: Running[] = [];
  try {
    for (const { command, wanted } of commandsOf(example)) {
      const line = ports.moved(local(command));
      const stays = staying.find(([pattern]) => pattern.test(command));
      if (command.startsWith("cd ")) place.folder = join(folder, command.slice("cd ".length));
      else if (stays !== undefined) {
        const started = start(["sh", "-c", `exec ${line}`], place);
        running.push(started);
        const [, said] = stays;
        if (said !== null) await until(started.output, (output) => output.includes(said));
      } else await answered({ line, wanted }, place);
    }
    expect(running.length).toBeGreaterThan(2);
  } finally {
    const [coordinator, ...others] = running;
    await Promise.all(others.map((each) => each.stop()));
    await coordinator?.stop();
    await rm(folder, { recursive: true });
  }
}

async function answered(
  { line, wanted }: { readonly line: string; readonly wanted: string | null },
  place: Parameters<typeof start>[1],
): Promise<void> {
  const once = async () => {
    const done = start(["sh", "-c", line], place);
    return { line, code: await done.ended, output: done.output() };
  };
  // What nodes know follows what happens a moment later.
  if (wanted !== null && /^(curl|clearway get) /.test(line))
    await until(once, ({ output }) => output.includes(wanted));
  else {
    const { code, output } = await once();
    expect({ line, code, output }).toEqual({ line, code: 0, output: expect.stringContaining(wanted ?? "") });
  }
}

/** The program under test, and a coordinator where this run has its port. */
function local(command: string): string {
  return command
    .replaceAll("npx clearway ", "clearway ")
    .replaceAll("npx bun ", `${process.execPath} `)
    .replace(/^clearway coordinator /, "$&--bind 127.0.0.1:9800 ")
    .replace(/^clearway (token create|apply|get|diff|rollback) /, "$&--coordinator https://127.0.0.1:9800 ");
}
