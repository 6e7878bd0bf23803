import { expect, test } from "bun:test";
import { type Loaded, type Outcome, Reloads } from "../../src/node/reloads.ts";
import type { Problem, Snapshot } from "../../src/snapshot.ts";
import { VirtualClock } from "../virtual-clock.ts";

const problem: Problem = {
  file: "clearway.yaml",
  line: 3,
  column: 5,
  path: "admin",
  message: "wanted an address",
  hints: [],
  excerpt: null,
};

function readingOf(text: string) {
  return { files: new Map([["clearway.yaml", text]]), folders: new Map() };
}

/** Loads whatever `text` says at that moment; a text that begins with "wrong" has a problem. */
class Bench {
  text = "first";
  loads = 0;
  refusals: readonly Problem[] = [];
  readonly outcomes: Outcome[] = [];
  readonly activated: number[] = [];
  readonly errors: unknown[] = [];
  /** Holds each load until released. */
  gate: Promise<void> = Promise.resolve();
  readonly reloads: Reloads;

  constructor() {
    this.reloads = new Reloads(
      {
        clock: new VirtualClock(),
        load: async (version) => this.#load(version),
        activate: async ({ snapshot }) => {
          this.activated.push(snapshot.version);
          if (this.refusals.length > 0) return { ok: false, problems: this.refusals };
          return { ok: true, held: { longestMs: 1, totalMs: 2 } };
        },
        onRead: async () => {},
        onOutcome: (outcome) => this.outcomes.push(outcome),
        onError: (error) => this.errors.push(error),
      },
      { reading: readingOf("first"), version: 1 },
    );
  }

  async save(text: string): Promise<void> {
    this.text = text;
    this.reloads.request("changed");
    await this.settled();
  }

  settled(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async #load(version: number): Promise<Loaded> {
    this.loads += 1;
    const reading = readingOf(this.text);
    await this.gate;
    if (this.text === "explodes") throw new Error("no disk");
    const wrong = this.text.startsWith("wrong");
    return {
      snapshot: wrong ? null : ({ version } as Snapshot),
      problems: wrong ? [problem] : [],
      resolved: null,
      reading,
    };
  }
}

test("Reloads makes a changed configuration live under the next version", async () => {
  const bench = new Bench();
  await bench.save("second");
  await bench.save("third");
  expect(bench.activated).toEqual([2, 3]);
  expect(bench.outcomes.map(({ kind }) => kind)).toEqual(["applied", "applied"]);
});

test("Reloads does nothing when the text is what is live, unless a signal asks", async () => {
  const bench = new Bench();
  await bench.save("first");
  expect(bench.activated).toEqual([]);
  expect(bench.outcomes).toEqual([]);
  bench.reloads.request("signal");
  await bench.settled();
  expect(bench.activated).toEqual([2]);
});

test("Reloads keeps the problems of a wrong configuration until a right one is live", async () => {
  const bench = new Bench();
  await bench.save("wrong");
  expect(bench.activated).toEqual([]);
  expect(bench.reloads.problems).toEqual([problem]);
  await bench.save("second");
  expect(bench.reloads.problems).toEqual([]);
  expect(bench.outcomes.map(({ kind }) => kind)).toEqual(["refused", "applied"]);
});

test("Reloads drops the problems when the live text is put back", async () => {
  const bench = new Bench();
  await bench.save("wrong");
  await bench.save("first");
  expect(bench.reloads.problems).toEqual([]);
  expect(bench.outcomes.map(({ kind }) => kind)).toEqual(["refused", "restored"]);
  expect(bench.activated).toEqual([]);
});

test("Reloads treats a configuration that a worker refuses like a wrong one", async () => {
  const bench = new Bench();
  bench.refusals = [problem];
  await bench.save("second");
  expect(bench.reloads.problems).toEqual([problem]);
  bench.refusals = [];
  await bench.save("third");
  expect(bench.activated).toEqual([2, 2]);
  expect(bench.outcomes.map(({ kind }) => kind)).toEqual(["refused", "applied"]);
});

test("Reloads coalesces the saves during a reload into one more, with the latest text", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  bench.gate = gate.promise;
  bench.reloads.request("changed");
  await bench.settled();
  for (const text of ["second", "third", "fourth"]) {
    bench.text = text;
    bench.reloads.request("changed");
  }
  gate.resolve();
  await bench.settled();
  expect(bench.loads).toBe(2);
  expect(bench.activated).toEqual([2]);
});

test("Reloads.change begins at once, and the version that it makes live is not used again", async () => {
  const bench = new Bench();
  const versions: number[] = [];
  bench.reloads.change(async (version) => {
    versions.push(version);
    return "live";
  });
  expect(versions).toEqual([2]);
  await bench.settled();
  bench.reloads.change(async () => "unchanged");
  await bench.save("second");
  expect(bench.activated).toEqual([3]);
});

test("Reloads.change waits for the reload that runs, and goes before the next one", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  bench.gate = gate.promise;
  bench.text = "second";
  bench.reloads.request("changed");
  bench.reloads.request("signal");
  const activatedBefore: number[][] = [];
  bench.reloads.change(async () => {
    activatedBefore.push([...bench.activated]);
    return "unchanged";
  });
  gate.resolve();
  await bench.settled();
  expect([activatedBefore, bench.activated]).toEqual([[[2]], [2, 3]]);
});

test("Reloads survives a load that throws", async () => {
  const bench = new Bench();
  await bench.save("explodes");
  expect(bench.errors.length).toBe(1);
  await bench.save("second");
  expect(bench.activated).toEqual([2]);
});

test("Reloads.close waits for the reload under way and lets no other follow", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  bench.gate = gate.promise;
  bench.text = "second";
  bench.reloads.request("changed");
  bench.reloads.request("changed");
  const closed = bench.reloads.close();
  gate.resolve();
  await closed;
  bench.reloads.request("changed");
  await bench.settled();
  expect(bench.loads).toBe(1);
  expect(bench.activated).toEqual([2]);
});
