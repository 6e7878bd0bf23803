/** When a trial is ended, by a virtual clock and a process that only says things. */
import { describe, expect, test } from "bun:test";
import type { ProcessEnd } from "../../../src/machine.ts";
import { tryConfig } from "../../../src/node/plugins/trial.ts";
import type { TrialMessage, TriedConfig } from "../../../src/node/plugins/trial-messages.ts";
import { type NotedFiles, recordReads } from "../../../src/node/readings.ts";
import type { TrialStep } from "../../../src/snapshot.ts";
import { VirtualClock } from "../../virtual-clock.ts";

const mebibyte = 1024 * 1024;
const step: TrialStep = {
  work: "creating",
  name: "./own.ts",
  at: { file: "clearway.yaml", line: 4, column: 5, path: "listeners.web.filters[0]", excerpt: null },
};
const right: TriedConfig = {
  snapshot: null,
  document: null,
  problems: [],
  resolved: "right",
  schema: null,
  foreign: true,
};

function start() {
  const clock = new VirtualClock();
  const process = { residentBytes: 50 * mebibyte, cpuSeconds: 0, runnable: true, killed: false };
  const sent: unknown[] = [];
  const ended = Promise.withResolvers<ProcessEnd>();
  let receive: (message: unknown) => void = () => {};
  const { files, reading } = recordReads({} as NotedFiles);
  const result = tryConfig(
    {
      clock,
      processes: {
        startApart(_args, listener) {
          receive = listener;
          const kill = () => {
            process.killed = true;
          };
          return { pid: 7, ended: ended.promise, send: (message) => sent.push(message) > 0, kill };
        },
        usage: async () => ({ ...process, startEpochMs: 0 }),
        runnable: async () => process.runnable,
      },
    },
    { purpose: "snapshot", file: "clearway.yaml", version: 1 },
    files,
  );
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    ...{ clock, process, sent, reading, ended },
    async says(message: TrialMessage) {
      receive(message);
      await settled();
    },
    /** In pieces, as a process would see it. */
    async passes(milliseconds: number) {
      for (let passed = 0; passed < milliseconds; passed += 25) {
        clock.advance(25);
        await settled();
      }
    },
    outcome: async () => {
      const { problems, resolved } = await result;
      return problems[0]?.message ?? resolved;
    },
    pending: () => Promise.race([result.then(() => false), settled().then(() => true)]),
  };
}

const begin = { kind: "begin", step, answer: true } as const;

describe("tryConfig", () => {
  test("answers a step, notes what was read, and ends the process when the config is there", async () => {
    const trial = start();
    await trial.says({ kind: "read", of: "files", path: "own.ts", outcome: "=text" });
    await trial.says(begin);
    expect(trial.sent).toEqual(["known"]);
    await trial.says({ kind: "end" });
    await trial.says({ kind: "tried", config: right });
    expect(await trial.outcome()).toBe("right");
    expect([...trial.reading.files]).toEqual([["own.ts", "=text"]]);
    expect(trial.process.killed).toBe(true);
    expect(trial.clock.waiting).toBe(0);
  });

  test("gives a step that waits 5 s", async () => {
    const trial = start();
    await trial.says(begin);
    trial.process.runnable = false;
    await trial.passes(4_975);
    expect(await trial.pending()).toBe(true);
    await trial.passes(25);
    expect(await trial.outcome()).toBe('cannot use the filter "./own.ts": creating it took longer than 5 s');
    expect(trial.process.killed).toBe(true);
  });

  test("gives a step that computes 5 s of processor time, and at most 30 s", async () => {
    const slow = start();
    await slow.says(begin);
    await slow.passes(10_000);
    expect(await slow.pending()).toBe(true);
    slow.process.cpuSeconds = 5;
    await slow.passes(500);
    expect(await slow.outcome()).toContain("creating it took longer than 5 s");

    const starved = start();
    await starved.says(begin);
    await starved.passes(29_900);
    expect(await starved.pending()).toBe(true);
    await starved.passes(400);
    expect(await starved.outcome()).toContain("creating it took longer than 5 s");
  });

  test("gives 20 s from one step to the next, and 60 s in all", async () => {
    const between = start();
    await between.says(begin);
    await between.says({ kind: "end" });
    await between.passes(19_975);
    expect(await between.pending()).toBe(true);
    await between.passes(25);
    expect(await between.outcome()).toBe(
      'cannot use the filter "./own.ts": what goes on after creating it took longer than 20 s',
    );

    const whole = start();
    for (let number = 0; number < 15; number++) {
      await whole.says(begin);
      await whole.says({ kind: "end" });
      await whole.passes(number < 14 ? 4_000 : 3_975);
    }
    expect(await whole.pending()).toBe(true);
    await whole.passes(25);
    expect(await whole.outcome()).toContain("took longer than 60 s");
  });

  test("allows 256 MiB beyond what it had, without what grew between steps", async () => {
    const trial = start();
    await trial.says(begin);
    await trial.says({ kind: "end" });
    trial.process.residentBytes = 150 * mebibyte;
    await trial.passes(50);
    await trial.says(begin);
    trial.process.residentBytes = 406 * mebibyte;
    await trial.passes(50);
    expect(await trial.pending()).toBe(true);
    trial.process.residentBytes += 1;
    await trial.passes(50);
    expect(await trial.outcome()).toContain("creating it took more than 256 MiB of memory");
  });

  test("says how the process ended, once its last words had their time", async () => {
    const trial = start();
    trial.ended.resolve({ code: 3, signal: null });
    await trial.says(begin);
    await trial.passes(100);
    expect(await trial.outcome()).toContain("creating it ended the process with code 3");

    const early = start();
    early.ended.resolve({ code: null, signal: "SIGKILL" });
    await early.passes(200);
    expect(await early.outcome()).toBe(
      "cannot check this file: trying its filters ended the process by SIGKILL",
    );
  });
});
