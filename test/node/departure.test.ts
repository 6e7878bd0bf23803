import { describe, expect, test } from "bun:test";
import { Departure, quietMs, quietMsMax } from "../../src/node/departure.ts";
import type { LeavingStage } from "../../src/runtime/leaving.ts";
import { VirtualClock } from "../virtual-clock.ts";

interface Wish {
  readonly inboundListener?: string | null;
  /** What the mesh says, and after how long. */
  readonly told?: "told" | "not told";
  readonly toldAfterMs?: number;
}

/** A node whose callers do as a test says. */
function leaving({ inboundListener = "inbound", told = "told", toldAfterMs = 0 }: Wish = {}) {
  const clock = new VirtualClock();
  const callers = { requests: 7, connections: 0 };
  const stages: LeavingStage[] = [];
  const asked: string[] = [];
  const departure = new Departure({
    clock,
    membership: {
      inboundListener,
      leave: () => new Promise((resolve) => clock.after(toldAfterMs, () => resolve(told))),
    },
    async leave(listener, stage) {
      asked.push(listener);
      if (stages.at(-1) !== stage) stages.push(stage);
      return { ...callers };
    },
  });
  const settled = async () => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  /** `each`: what happens every 5 ms. */
  const pass = async (ms: number, each: () => void = () => {}) => {
    for (let passed = 0; passed < ms; passed += 5) {
      await settled();
      clock.advance(5);
      each();
    }
    await settled();
  };
  /** When it is done, in ms from now; null until then. */
  const timed = (done: Promise<void>) => {
    const startMs = clock.now();
    const seen: { atMs: number | null } = { atMs: null };
    void done.then(() => {
      seen.atMs = clock.now() - startMs;
    });
    return seen;
  };
  const called = () => {
    callers.requests += 1;
  };
  return { clock, callers, called, stages, asked, departure, pass, timed };
}

describe("Departure.begin", () => {
  test("waits until no request came for a while after all were told", async () => {
    const { departure, pass, timed, called, stages } = leaving({ toldAfterMs: 60 });
    const done = timed(departure.begin(15_000));
    await pass(60, called);
    // A caller's node needs a moment: it goes on to come meanwhile.
    await pass(55, called);
    expect(done.atMs).toBeNull();
    await pass(300);
    expect(done.atMs).toBeGreaterThanOrEqual(115 + quietMs - 25);
    expect(done.atMs).toBeLessThanOrEqual(115 + quietMs + 50);
    // Nobody was made to come by a new connection.
    expect(stages).toEqual(["keep"]);
  });

  test("takes no longer where nobody calls", async () => {
    const { departure, pass, timed } = leaving();
    const done = timed(departure.begin(15_000));
    await pass(quietMs + 50);
    expect(done.atMs).toBeLessThanOrEqual(quietMs + 50);
    expect(done.atMs).toBeGreaterThanOrEqual(quietMs);
  });

  test("has those who do not hear come by new connections, and serves them, but not without end", async () => {
    const { departure, pass, timed, called, stages } = leaving();
    const done = timed(departure.begin(15_000));
    await pass(quietMsMax - 100, called);
    expect(stages).toEqual(["keep", "close"]);
    expect(done.atMs).toBeNull();
    await pass(200, called);
    expect(done.atMs).toBeLessThanOrEqual(quietMsMax + 50);
  });

  test("one who was slow to hear is waited for, and only as long as he comes", async () => {
    const { departure, pass, timed, called } = leaving();
    const done = timed(departure.begin(15_000));
    await pass(700, called);
    await pass(quietMs + 100);
    expect(done.atMs).toBeLessThanOrEqual(700 + quietMs + 50);
    expect(done.atMs).toBeGreaterThanOrEqual(700 + quietMs - 25);
  });

  test("where nobody can be told, answers close their connections from the first on", async () => {
    const { departure, pass, timed, called, stages } = leaving({ told: "not told" });
    const done = timed(departure.begin(15_000));
    await pass(100, called);
    expect(stages).toEqual(["close"]);
    await pass(quietMsMax, called);
    expect(done.atMs).toBeLessThanOrEqual(quietMsMax + 50);
  });

  test("takes no longer than it may", async () => {
    const { departure, pass, timed, called } = leaving({ toldAfterMs: 60 });
    const done = timed(departure.begin(300));
    await pass(400, called);
    expect(done.atMs).toBeLessThanOrEqual(350);
  });

  test("a node that nobody calls waits only until that is known", async () => {
    const { departure, pass, timed, asked } = leaving({ inboundListener: null, toldAfterMs: 60 });
    const done = timed(departure.begin(15_000));
    await pass(70);
    expect(done.atMs).toBe(60);
    await departure.finish(15_000);
    expect(asked).toEqual([]);
  });

  test("an app that has ended has its callers refused at once, for good", async () => {
    const { departure, pass, stages } = leaving({ told: "not told", toldAfterMs: 500 });
    void departure.begin(15_000);
    departure.refuse();
    await pass(1_000);
    expect(stages).toEqual(["refuse"]);
  });
});

describe("Departure.finish", () => {
  test("refuses, and waits for those who are there", async () => {
    const { departure, pass, timed, callers, stages, asked } = leaving();
    callers.connections = 2;
    const done = timed(departure.finish(15_000));
    await pass(3_000);
    expect([done.atMs, stages]).toEqual([null, ["refuse"]]);
    callers.connections = 0;
    await pass(50);
    expect(done.atMs).toBeLessThanOrEqual(3_050);
    expect(new Set(asked)).toEqual(new Set(["inbound"]));
  });

  test("not longer than it may", async () => {
    const { departure, pass, timed, callers } = leaving();
    callers.connections = 2;
    const done = timed(departure.finish(300));
    await pass(400);
    expect(done.atMs).toBeLessThanOrEqual(350);
  });
});
