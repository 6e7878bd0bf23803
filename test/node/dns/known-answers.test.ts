import { expect, test } from "bun:test";
import type { Answer } from "../../../src/node/dns/answer.ts";
import { KNOWN_MAX, KnownAnswers, RETRY_MAX_MS } from "../../../src/node/dns/known-answers.ts";
import type { Question } from "../../../src/node/dns/message.ts";
import { VirtualClock } from "../../virtual-clock.ts";

const question: Question = { name: "orders.test", type: "A" };
const bounds = { refreshMinMs: 1000, refreshMaxMs: 300_000 };

function records(last: number, ttlSeconds: number): Answer {
  const record = { type: "A", name: "orders.test", ttlSeconds, address: `10.0.0.${last}` } as const;
  return { kind: "records", records: [record], additional: [], ttlSeconds };
}
const nothing: Answer = { kind: "nothing", why: "there is no such name (NXDOMAIN)", ttlSeconds: 5 };
const failed: Answer = { kind: "failed", why: "10.0.0.9:53 answered SERVFAIL" };

function setting(fraction = 0) {
  const clock = new VirtualClock();
  const setting = {
    clock,
    answer: records(1, 60) as Answer,
    asked: 0,
    async find(asked = question, within = bounds) {
      const known = await answers.find(asked, within);
      const { answer } = known;
      const shown =
        answer.kind === "records"
          ? answer.records.map((one) => "address" in one && one.address)
          : answer.kind;
      return { shown, stale: known.staleBecause, freshMs: known.freshUntilMs - clock.now() };
    },
    expire: () => answers.expire(),
  };
  const answers: KnownAnswers = new KnownAnswers({
    clock,
    random: { fraction: () => fraction, id: () => "" },
    async ask() {
      setting.asked++;
      return setting.answer;
    },
  });
  return setting;
}

test("KnownAnswers asks again when the time to live is over, and not before", async () => {
  const at = setting();
  expect(await at.find()).toEqual({ shown: ["10.0.0.1"], stale: null, freshMs: 60_000 });
  at.answer = records(2, 60);
  at.clock.advance(59_999);
  expect(await at.find()).toMatchObject({ shown: ["10.0.0.1"], freshMs: 1 });
  at.clock.advance(1);
  expect(await at.find()).toMatchObject({ shown: ["10.0.0.2"] });
  expect(at.asked).toBe(2);
});

test("KnownAnswers keeps a time to live within the bounds, a tenth later at most", async () => {
  for (const [ttl, wanted] of [
    [0, 1000],
    [1, 1000],
    [7, 7000],
    [86_400, 300_000],
  ] as const) {
    const at = setting();
    at.answer = records(1, ttl);
    expect((await at.find()).freshMs).toBe(wanted);
    const late = setting(0.999);
    late.answer = records(1, ttl);
    const { freshMs } = await late.find();
    expect(freshMs).toBeGreaterThan(wanted * 1.09);
    expect(freshMs).toBeLessThan(wanted * 1.1);
  }
});

test("KnownAnswers asks once for what is wanted twice at the same time", async () => {
  const at = setting();
  const both = await Promise.all([at.find(), at.find()]);
  expect(both[0]).toEqual(both[1]);
  expect(at.asked).toBe(1);
});

test("KnownAnswers keeps the last good answer while the servers are away, however long", async () => {
  const at = setting();
  await at.find();
  at.answer = failed;
  for (let day = 0; day < 30; day++) {
    at.clock.advance(86_400_000);
    expect(await at.find()).toMatchObject({ shown: ["10.0.0.1"], stale: failed.why });
  }
  at.answer = records(2, 60);
  at.clock.advance(RETRY_MAX_MS);
  expect(await at.find()).toMatchObject({ shown: ["10.0.0.2"], stale: null });
});

test("KnownAnswers asks servers that are away ever less often, to a bound", async () => {
  const at = setting();
  at.answer = failed;
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    const { shown, freshMs } = await at.find();
    expect(shown).toBe("failed");
    waits.push(freshMs);
    at.clock.advance(freshMs);
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  at.answer = records(1, 1);
  await at.find();
  at.clock.advance(1000);
  at.answer = failed;
  expect(await at.find()).toMatchObject({ shown: ["10.0.0.1"], freshMs: 1000 });
});

test("KnownAnswers gives a good answer up when nothing is said twice in a row", async () => {
  const at = setting();
  await at.find();
  at.answer = nothing;
  at.clock.advance(60_000);
  // Once may be a mistake of one server: it is asked again soon.
  expect(await at.find()).toEqual({ shown: ["10.0.0.1"], stale: nothing.why, freshMs: 1000 });
  at.clock.advance(1000);
  expect(await at.find()).toEqual({ shown: "nothing", stale: null, freshMs: 5000 });
});

test("KnownAnswers counts denials across failures, and from the start after a good answer", async () => {
  const at = setting();
  const next = async (answer: Answer) => {
    at.answer = answer;
    at.clock.advance(400_000);
    return (await at.find()).shown;
  };
  expect(await next(records(1, 1))).toEqual(["10.0.0.1"]);
  expect(await next(nothing)).toEqual(["10.0.0.1"]);
  expect(await next(records(1, 1))).toEqual(["10.0.0.1"]);
  expect(await next(nothing)).toEqual(["10.0.0.1"]);
  expect(await next(failed)).toEqual(["10.0.0.1"]);
  expect(await next(nothing)).toBe("nothing");
  expect(await next(failed)).toBe("nothing");
});

test("KnownAnswers takes nothing for an answer at once where nothing better is known", async () => {
  const at = setting();
  at.answer = nothing;
  expect(await at.find()).toMatchObject({ shown: "nothing", freshMs: 5000 });
  // An hour, or no word about how long: whoever waits for a service to appear does not wait that long.
  for (const ttlSeconds of [3600, null]) {
    const slow = setting();
    slow.answer = { ...nothing, ttlSeconds };
    expect((await slow.find()).freshMs).toBe(RETRY_MAX_MS);
  }
});

test("KnownAnswers asks everything again after expire, and keeps what was good", async () => {
  const at = setting();
  await at.find();
  at.expire();
  at.answer = failed;
  expect(await at.find()).toMatchObject({ shown: ["10.0.0.1"], stale: failed.why });
  expect(at.asked).toBe(2);
});

test("KnownAnswers forgets what was not asked for longest, beyond its bound", async () => {
  const at = setting();
  const name = (at: number): Question => ({ name: `s${at}.test`, type: "A" });
  for (let i = 0; i < KNOWN_MAX; i++) await at.find(name(i));
  await at.find(name(0));
  expect(at.asked).toBe(KNOWN_MAX);
  await at.find(name(KNOWN_MAX));
  await at.find(name(0));
  expect(at.asked).toBe(KNOWN_MAX + 1);
  await at.find(name(1));
  expect(at.asked).toBe(KNOWN_MAX + 2);
});
