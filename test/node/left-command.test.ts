import { describe, expect, test } from "bun:test";
import { LeftCommand } from "../../src/node/left-command.ts";

/** Processes of a machine, by number when they began. */
function machine(started: Record<number, number>) {
  const asked: number[] = [];
  const command = new LeftCommand({
    async usage(pid) {
      const startEpochMs = started[pid];
      return startEpochMs === undefined ? null : { residentBytes: 1, cpuSeconds: 1, startEpochMs };
    },
    askToEnd: (pid) => void asked.push(pid),
  });
  return { command, asked, started };
}

describe("LeftCommand", () => {
  test("asks the command to end", async () => {
    const { command, asked, started } = machine({ 7: 1_000_000 });
    await command.is(7);
    // Somebody set the clock a little.
    started[7] = 1_000_900;
    await command.end();
    expect(asked).toEqual([7]);
  });

  test("lets a process alone that has its number now", async () => {
    const { command, asked, started } = machine({ 7: 1_000_000 });
    await command.is(7);
    started[7] = 1_010_000;
    await command.end();
    expect(asked).toEqual([]);
  });

  test("does nothing where there is none, or none any more, or nobody can tell", async () => {
    const { command, asked, started } = machine({ 7: 1_000_000 });
    await command.end();
    await command.is(7);
    await command.is(null);
    await command.end();
    await command.is(8);
    await command.end();
    await command.is(7);
    delete started[7];
    await command.end();
    expect(asked).toEqual([]);
  });
});
