import { afterEach, describe, expect, test } from "bun:test";
import hedge from "../../src/filters/hedge.ts";
import { ManualBody, responseFrom } from "../runtime/fetch/messages.ts";
import { okAnswer } from "../runtime/recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../runtime/setting.ts";
import { eventually } from "../runtime/waiting.ts";
import { VirtualClock } from "../virtual-clock.ts";
import {
  type CallDraft,
  failures,
  type Script,
  type UpstreamChain,
  upstreamChain,
} from "./sending/upstream-chain.ts";

afterEach(closeAll);

/** Enough to spare, so that a test of something else never waits for it. */
const rich = { budget: "100%", perSecond: 10_000 };

/** With its budget begun and filled. */
async function chainOf(options: object): Promise<UpstreamChain> {
  const chain = upstreamChain(hedge, { ...rich, ...options });
  await chain.run(() => responseFrom([]));
  chain.parts.clock.advance(1000);
  return chain;
}

/** What each try gets, and when; one that is given up before rejects, as the runtime's does. */
function answers(chain: UpstreamChain, list: readonly [atMs: number, answer: () => Response][]): Script {
  return ({ number, change }) =>
    new Promise((resolve, reject) => {
      const [delayMs, answer] = list[number - 1]!;
      change.signal?.addEventListener("abort", () => reject(failures.callerLeft()));
      chain.parts.clock.after(delayMs, () => {
        try {
          resolve(answer());
        } catch (error) {
          reject(error);
        }
      });
    });
}

const status = (code: number, number: number) => () =>
  responseFrom([`x-number: ${number}`], { status: code });
const fail = (failure: Error) => (): never => {
  throw failure;
};

describe("hedge", () => {
  async function race(options: object, list: readonly [number, () => Response][], draft: CallDraft = {}) {
    const chain = await chainOf(options);
    const ended = await chain.run(answers(chain, list), draft);
    await null;
    return {
      chain,
      ...ended,
      winner: ended.response?.headers.get("x-number") ?? null,
      sentAt: ended.sent.map(({ atMs }) => atMs),
      givenUp: ended.sent.flatMap(({ number, change }) => (change.signal?.aborted ? [number] : [])),
    };
  }

  test("sends once where the first answer comes in time", async () => {
    const { sentAt, winner, chain } = await race({ after: "100ms" }, [[99, status(200, 1)]]);
    expect([sentAt, winner]).toEqual([[0], "1"]);
    expect(chain.parts.clock.waiting).toBe(0);
  });

  test("the second wins where it is faster, and the first is given up", async () => {
    const { sentAt, winner, givenUp, elapsedMs, chain } = await race({ after: "100ms" }, [
      [5000, status(200, 1)],
      [10, status(200, 2)],
    ]);
    expect([sentAt, winner, givenUp, elapsedMs]).toEqual([[0, 100], "2", [1], 110]);
    expect([chain.counted("hedges orders"), chain.counted("hedges_won orders")]).toEqual([1, 1]);
  });

  test("the first wins where it is faster after all, and the second is given up", async () => {
    const { winner, givenUp, chain } = await race({ after: "100ms" }, [
      [105, status(404, 1)],
      [10, status(200, 2)],
    ]);
    expect([winner, givenUp]).toEqual(["1", [2]]);
    expect(chain.counted("hedges_won")).toBe(0);
  });

  test("sends up to its attempts, each after the same wait", async () => {
    const slow = [1, 2, 3].map((number): [number, () => Response] => [1000, status(200, number)]);
    const { sentAt, winner, givenUp } = await race({ after: "100ms", attempts: 3 }, slow);
    expect([sentAt, winner, givenUp]).toEqual([[0, 100, 200], "1", [2, 3]]);
  });

  test("passes over a bad answer while another try is under way, and drops its body", async () => {
    const body = new ManualBody(["busy"]);
    const { winner } = await race({ after: "100ms" }, [
      [200, status(200, 1)],
      [10, () => responseFrom([], { status: 503, body })],
    ]);
    expect([winner, body.cancelled]).toEqual(["1", true]);
  });

  test("passes the last outcome on where none is good, failures too", async () => {
    const bad: [number, () => Response][] = [
      [150, status(500, 1)],
      [100, status(503, 2)],
    ];
    expect((await race({ after: "100ms" }, bad)).winner).toBe("2");
    const failure = failures.reset();
    const { error } = await race({ after: "100ms" }, [
      [150, status(500, 1)],
      [100, fail(failure)],
    ]);
    expect(error).toBe(failure);
  });

  test("leaves a bad answer that came in time to others: it is no slow one", async () => {
    const { sentAt, winner } = await race({ after: "100ms" }, [[50, status(503, 1)]]);
    expect([sentAt, winner]).toEqual([[0], "1"]);
  });

  test("sends only once what is not safe, has a body or asks for another protocol", async () => {
    const drafts: CallDraft[] = [
      { method: "POST" },
      { method: "PUT" },
      { replayable: false },
      { fields: ["upgrade: websocket"] },
    ];
    for (const draft of drafts) {
      expect((await race({ after: "1ms" }, [[50, status(200, 1)]], draft)).sentAt).toEqual([0]);
    }
  });

  test("sends no more than its budget", async () => {
    const chain = upstreamChain(hedge, { after: "1ms", perSecond: 1 });
    const slow = answers(chain, [
      [5, status(200, 1)],
      [5, status(200, 2)],
    ]);
    for (let call = 0; call < 100; call++) await chain.run(slow);
    expect(chain.counted("hedges")).toBe(11);
    expect(chain.counted("hedges_withheld")).toBe(89);
  });

  test("without after, waits as long as 95% of the last answers took", async () => {
    const chain = await chainOf({});
    const takes = (delayMs: number) =>
      chain.run(
        answers(chain, [
          [delayMs, status(200, 1)],
          [1, status(200, 2)],
        ]),
      );
    for (let call = 1; call <= 19; call++) expect((await takes(call === 7 ? 500 : 20)).sent).toHaveLength(1);
    const slow = await takes(500);
    expect(slow.sent.map(({ atMs }) => atMs)).toEqual([0, 20]);
    expect(slow.elapsedMs).toBe(21);
  });

  test("reads its options", () => {
    const right = (given: object) => hedge.options.safeParse(given).success;
    expect(right({})).toBe(true);
    expect(right({ after: "1m", attempts: 5, budget: "100%", perSecond: 10_000 })).toBe(true);
    for (const wrong of [
      { after: "61s" },
      { attempts: 1 },
      { attempts: 6 },
      { budget: "101%" },
      { perSecond: 0 },
    ])
      expect([wrong, right(wrong)]).toEqual([wrong, false]);
  });
});

describe("hedge, on the wire", () => {
  const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

  test("another endpoint answers, and the slow one's connection is reset", async () => {
    const clock = new VirtualClock();
    const slow = await upstreamWith({ onRequest: () => null });
    const well = await upstreamWith({ onRequest: () => okAnswer });
    const options = "{ after: 50ms, budget: 100%, perSecond: 10000 }";
    const proxy = await proxyTo(
      { ports: [slow.port, well.port], route: `        filters: [{ hedge: ${options} }]`, root: "" },
      { clock },
    );
    const client = await caller(proxy);
    for (let request = 1; request <= 6; request++) {
      client.send(get);
      clock.advance(1000);
      await eventually("the answer", () => {
        clock.advance(10);
        return client.unread !== "";
      });
      expect((await client.answer()).body).toBe("ok");
    }
    expect(slow.requests.length).toBeGreaterThan(0);
    await eventually("the end of the slow ones", () => slow.connections.every(({ peer }) => peer !== "open"));
  });
});
