import { describe, expect, test } from "bun:test";
import retry from "../../src/filters/retry.ts";
import { ManualBody, responseFrom } from "../runtime/fetch/messages.ts";
import { SeededRandom } from "../seeded-random.ts";
import { type CallDraft, failures, type Script, upstreamChain } from "./sending/upstream-chain.ts";

const status = (code: number, fields: readonly string[] = []) => responseFrom(fields, { status: code });
const fail = (failure: Error): never => {
  throw failure;
};
const always =
  (code: number): Script =>
  () =>
    status(code);
/** The first one as it says, the others well. */
const first =
  (answer: () => Response): Script =>
  ({ number }) =>
    number === 1 ? answer() : status(200);

/** Enough to spare, so that a test of something else never waits for it. */
const rich = { budget: "100%", perSecond: 10_000 };
const random = { fraction: () => 1, id: () => "1".repeat(32) };

async function tries(options: object, script: Script, draft: CallDraft = {}): Promise<number> {
  const chain = upstreamChain(retry, { ...rich, ...options }, { random });
  chain.parts.clock.advance(1000);
  return (await chain.run(script, draft)).sent.length;
}

describe("retry", () => {
  test("passes an answer on that is none of its business", async () => {
    for (const code of [200, 404, 500, 502, 504]) expect(await tries({}, always(code))).toBe(1);
  });

  test("tries twice unless more attempts are asked for, and passes the last answer on", async () => {
    for (const [options, count] of [
      [{}, 2],
      [{ attempts: 4 }, 4],
      [{ attempts: 1 }, 1],
    ] as const) {
      const chain = upstreamChain(retry, { ...rich, ...options }, { random });
      chain.parts.clock.advance(1000);
      const ended = await chain.run(({ number }) => status(503, [`x-number: ${number}`]));
      expect(ended.sent).toHaveLength(count);
      expect(ended.response!.headers.get("x-number")).toBe(String(count));
      expect(chain.counted("retries orders 503")).toBe(count - 1);
      expect(chain.counted("retries_withheld attempts")).toBe(1);
    }
  });

  test("stops at the first answer that is wanted", async () => {
    expect(await tries({ attempts: 5 }, ({ number }) => status(number < 3 ? 503 : 200))).toBe(3);
  });

  test("throws the last failure, in the service's name", async () => {
    const chain = upstreamChain(retry, rich, { random });
    chain.parts.clock.advance(1000);
    const last = failures.reset();
    const ended = await chain.run(({ number }) => (number === 1 ? status(503) : fail(last)));
    expect(ended.error).toBe(last);
    expect(chain.parts.logged).toEqual([]);
  });

  test("cancels the body of an answer that nobody gets, and not that of the one that is passed on", async () => {
    const bodies = [1, 2].map(() => new ManualBody(["busy"]));
    const script: Script = ({ number }) => responseFrom([], { status: 503, body: bodies[number - 1]! });
    const chain = upstreamChain(retry, rich, { random });
    chain.parts.clock.advance(1000);
    const { response } = await chain.run(script);
    expect(bodies.map(({ cancelled }) => cancelled)).toEqual([true, false]);
    expect(await response!.text()).toBe("busy");
  });

  test("lets through what is no failure of a message", async () => {
    const chain = upstreamChain(retry, { ...rich, when: ["5xx"] });
    const ended = await chain.run(() => fail(new TypeError("a defect")));
    expect(ended.error).toBeInstanceOf(TypeError);
    expect(ended.sent).toHaveLength(1);
    expect(await tries({ when: ["5xx"] }, () => fail(failures.callerLeft()))).toBe(1);
  });
});

describe("retry when", () => {
  const node503 = () => status(503, ["x-clearway-reason: service-overloaded"]);
  const outcomes: Record<string, () => Response> = {
    unreachable: () => fail(failures.unreachable()),
    overloaded: () => fail(failures.overloaded()),
    "a node's 503": node503,
    reset: () => fail(failures.reset()),
    timeout: () => fail(failures.timeout()),
    malformed: () => fail(failures.malformed()),
    "a service's 503": () => status(503),
    "500": () => status(500),
    "429": () => status(429),
  };
  const table: [when: readonly (string | number)[] | undefined, repeated: readonly string[]][] = [
    [undefined, ["unreachable", "overloaded", "a node's 503", "reset", "a service's 503"]],
    [["connect-failure"], ["unreachable"]],
    [["refused"], ["overloaded", "a node's 503"]],
    [["reset"], ["reset"]],
    [["timeout"], ["timeout"]],
    [[502], ["reset", "malformed"]],
    [[503], ["unreachable", "overloaded", "a node's 503", "a service's 503"]],
    [[504], ["timeout"]],
    [[429], ["429"]],
    [["5xx"], Object.keys(outcomes).filter((name) => name !== "429")],
  ];
  for (const [when, repeated] of table) {
    test(`${when ?? "nothing said"} means ${repeated.join(", ")}`, async () => {
      const found: string[] = [];
      for (const [name, outcome] of Object.entries(outcomes)) {
        if ((await tries(when === undefined ? {} : { when }, first(outcome))) === 2) found.push(name);
      }
      expect(found).toEqual([...repeated]);
    });
  }

  const all = { when: ["connect-failure", "refused", "reset", "timeout", "5xx", 429] };
  const unbegun = ["unreachable", "overloaded", "a node's 503"];
  const methods: [draft: CallDraft, repeated: readonly string[]][] = [
    [{ method: "PUT" }, Object.keys(outcomes)],
    [{ method: "DELETE" }, Object.keys(outcomes)],
    [{ method: "POST" }, unbegun],
    [{ method: "PATCH" }, unbegun],
    [{ method: "POST", fields: ["idempotency-key: 7f"] }, Object.keys(outcomes)],
    [{ method: "PUT", replayable: false }, ["unreachable", "overloaded"]],
  ];
  for (const [draft, repeated] of methods) {
    test(`${JSON.stringify(draft)} is sent again after ${repeated.length} of ${Object.keys(outcomes).length}`, async () => {
      const found: string[] = [];
      for (const [name, outcome] of Object.entries(outcomes)) {
        if ((await tries(all, first(outcome), draft)) === 2) found.push(name);
      }
      expect(found).toEqual([...repeated]);
    });
  }
});

describe("retry waits", () => {
  async function sentAt(options: object, script: Script, draft: CallDraft = {}): Promise<number[]> {
    const chain = upstreamChain(retry, { ...rich, ...options }, { random });
    chain.parts.clock.advance(1000);
    return (await chain.run(script, draft)).sent.map(({ atMs }) => atMs);
  }

  test("up to the backoff, which doubles to ten times", async () => {
    const at = await sentAt({ attempts: 7, backoff: "10ms" }, always(503));
    expect(at).toEqual([0, 10, 30, 70, 150, 250, 350]);
  });

  test("up to backoffMax", async () => {
    const at = await sentAt({ attempts: 4, backoff: "10ms", backoffMax: "15ms" }, always(503));
    expect(at).toEqual([0, 10, 25, 40]);
  });

  test("anything from nothing to the backoff", async () => {
    const waits: number[] = [];
    const chain = upstreamChain(retry, { ...rich, backoff: "100ms" }, { random: new SeededRandom(3) });
    chain.parts.clock.advance(1000);
    for (let call = 0; call < 100; call++) waits.push((await chain.run(always(503))).sent[1]!.atMs);
    expect(Math.min(...waits)).toBeLessThan(10);
    expect(Math.max(...waits)).toBeGreaterThan(90);
  });

  test("as long as Retry-After asks, in seconds or until a date, and the backoff besides", async () => {
    const date = new Date(1_700_000_000_000 + 4_000).toUTCString();
    const wanted = { "2": 2_025, "0": 25, [date]: 3_025, "not a time": 25, "-5": 25 };
    for (const [text, atMs] of Object.entries(wanted)) {
      const at = await sentAt(
        {},
        first(() => status(503, [`Retry-After: ${text}`])),
      );
      expect([text, at]).toEqual([text, [0, atMs]]);
    }
  });

  test("not at all where Retry-After or the backoff go past the route's timeout", async () => {
    const late = first(() => status(503, ["Retry-After: 2"]));
    expect(await sentAt({}, late, { timeoutMs: 2_026 })).toEqual([0, 2_025]);
    expect(await sentAt({}, late, { timeoutMs: 2_025 })).toEqual([0]);
    expect(await sentAt({ backoff: "50ms" }, always(503), { timeoutMs: 50 })).toEqual([0]);
  });

  test("no longer than the caller", async () => {
    const left = new AbortController();
    const chain = upstreamChain(retry, { ...rich, backoff: "5s" }, { random });
    chain.parts.clock.advance(1000);
    chain.parts.clock.after(7, () => left.abort());
    const ended = await chain.run(always(503), { signal: left.signal });
    expect([ended.sent.length, ended.elapsedMs]).toEqual([1, 7]);
    expect(chain.parts.clock.waiting).toBe(0);
  });
});

describe("retry perTry", () => {
  test("is the time of each try, where the body is held", async () => {
    const chain = upstreamChain(retry, { ...rich, perTry: "800ms" });
    chain.parts.clock.advance(1000);
    const changes = async (draft: CallDraft) =>
      (await chain.run(always(503), draft)).sent.map(({ change }) => change);
    expect(await changes({})).toEqual([{ timeoutMs: 800 }, { timeoutMs: 800 }]);
    expect(await changes({ replayable: false })).toEqual([{}]);
  });
});

describe("retry budget", () => {
  test("lets the very first request be sent again, and again", async () => {
    const chain = upstreamChain(retry, { attempts: 3 }, { random });
    let tries = 0;
    const { response } = await chain.run(() => status(++tries < 3 ? 503 : 200));
    expect([response!.status, tries]).toEqual([200, 3]);
  });

  test("holds retries back once a fifth of the requests and ten a second were tried again", async () => {
    const chain = upstreamChain(retry, { backoff: "1ms" });
    let sent = 0;
    for (let call = 0; call < 100; call++) sent += (await chain.run(always(503))).sent.length;
    const seconds = chain.parts.clock.now() / 1000;
    expect(sent).toBeGreaterThanOrEqual(129);
    expect(sent).toBeLessThanOrEqual(130 + 10 * seconds);
    expect(chain.counted("retries_withheld orders budget") + sent).toBe(
      200 - chain.counted("retries_withheld attempts") + chain.counted("retries"),
    );
  });

  test("is not touched by tries that are not repeated", async () => {
    const chain = upstreamChain(retry, { budget: "0%", perSecond: 1 }, { random });
    await chain.run(always(503), { method: "POST" });
    await chain.run(always(503), { timeoutMs: 1 });
    expect((await chain.run(first(() => status(503)))).response!.status).toBe(200);
    expect((await chain.run(first(() => status(503)))).response!.status).toBe(503);
  });
});

describe("retry options", () => {
  const problems = (given: object) =>
    (retry.options.safeParse(given).error?.issues ?? []).map(({ path }) => path.join("."));
  const table: [option: string, right: readonly unknown[], wrong: readonly unknown[]][] = [
    ["attempts", [1, 10], [0, 11, 1.5, "2"]],
    ["when", [["reset"], [300, 599, "5xx"]], [[], ["resett"], [299], [600], "reset"]],
    ["budget", ["0%", "100%"], ["101%", "a fifth"]],
    ["perSecond", [1, 10_000], [0, 10_001]],
    ["backoff", ["1ms", "1m"], ["0ms", "61s", 25]],
    ["backoffMax", ["1ms", "1m"], ["61s"]],
    ["perTry", ["1ms", "24h"], ["25h"]],
    ["bodyBytes", ["0B", "16MiB"], ["17MiB"]],
  ];
  for (const [option, right, wrong] of table) {
    test(`${option} takes ${JSON.stringify(right)} and not ${JSON.stringify(wrong)}`, () => {
      for (const value of right) expect([value, problems({ [option]: value })]).toEqual([value, []]);
      for (const value of wrong)
        expect([value, problems({ [option]: value })[0]?.split(".")[0]]).toEqual([value, option]);
    });
  }

  test("an unknown one is a problem", () => {
    expect(retry.options.safeParse({ attempt: 2 }).success).toBe(false);
  });
});
