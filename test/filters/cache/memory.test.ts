/** What a worker's cache takes: counted, bounded, kept over a reload. */
import { describe, expect, test } from "bun:test";
import { Flights } from "../../../src/filters/cache/flights.ts";
import { Store } from "../../../src/filters/cache/store.ts";
import { StoredAnswer } from "../../../src/filters/cache/stored.ts";
import { ManualBody } from "../../runtime/fetch/messages.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { answer, cachedService, settled, silent } from "./cached-service.ts";

const MINUTE = "Cache-Control: max-age=60";
const url = (number: number) => ({ url: `http://shop.example/${number}` });
const freshness = {
  lifetimeMs: 1000,
  validation: "when stale",
  staleForCallers: "allowed",
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  withheld: [],
} as const;
const timing = { sentMs: 0, receivedMs: 0, receivedEpochMs: 0 };

function stored(address: string, bytes: number, values = ""): StoredAnswer {
  const askedFor = { url: address, route: "", service: "", varied: ["a"], values };
  return new StoredAnswer(
    askedFor,
    { answer: answer([]), body: new Uint8Array(bytes) },
    { freshness, timing },
  );
}

describe("cache, memory", () => {
  test("gives up what was asked for longest ago", async () => {
    const service = cachedService({ memory: "1MiB", bodyMax: "256KiB" });
    const body = "x".repeat(200 * 1024);
    for (let i = 0; i < 4; i++) await service.get(() => answer([MINUTE], { body }), url(i));
    await service.get(silent, url(0));
    await service.get(() => answer([MINUTE], { body }), url(4));
    expect(service.counted("cache_evicted")).toBe(1);
    for (const kept of [0, 2, 3, 4]) await service.get(silent, url(kept));
    expect((await service.get(() => answer([], { body: "new" }), url(1))).body).toBe("new");
  });

  test("counts heads as well as bodies", async () => {
    const service = cachedService({ memory: "1MiB", bodyMax: "1KiB" });
    const fields = [MINUTE, `X-Long: ${"x".repeat(50 * 1024)}`];
    for (let i = 0; i < 30; i++) await service.get(() => answer(fields, { body: "" }), url(i));
    expect(service.counted("cache_evicted")).toBe(11);
  });

  test("has no room for more on its way in than half of it", async () => {
    const service = cachedService({ memory: "1MiB", bodyMax: "256KiB" });
    const bodies: ManualBody[] = [];
    for (let i = 0; i < 3; i++) {
      const body = new ManualBody([], { ends: "later" });
      bodies.push(body);
      await service.chain.begin(() => answer([MINUTE], { body }), url(i));
      await settled();
      body.send("x".repeat(200 * 1024));
      await settled();
    }
    expect(service.counted("cache_not_kept no-room")).toBe(1);
    for (const body of bodies) body.end();
    await settled();
    expect(service.counted("cache_kept")).toBe(2);
  });

  test("a caller who takes its answer slowly holds up neither what is kept nor who waits for it", async () => {
    const service = cachedService();
    const leaving = new AbortController();
    const slow = await service.chain.begin(() => answer([MINUTE]), { signal: leaving.signal });
    await settled();
    // It has not read a byte.
    expect((await service.get(silent)).body).toBe("hello");
    expect(await slow.text()).toBe("hello");
  });

  test("survives a reload, with as much memory", async () => {
    const service = cachedService();
    await service.get(() => answer([MINUTE]));
    const { memory, clock, share } = service.chain.parts;
    expect((await cachedService({}, { memory, clock, share }).get(silent)).body).toBe("hello");
    const other = cachedService({ memory: "32MiB" }, { memory, clock, share });
    expect((await other.get(() => answer([], { body: "new" }))).body).toBe("new");
  });
});

describe("Store", () => {
  test("never holds more than it may, whatever is done, and forgets nothing that it counts", () => {
    const random = new SeededRandom(5);
    const below = (most: number) => Math.floor(random.fraction() * most);
    const bytesMax = 100_000;
    const store = new Store({ bytesMax, evicted: () => {} });
    const ends: (() => void)[] = [];
    const steps = [
      () => void store.add(stored(`http://a/${below(20)}`, below(10_000), `${below(3)}`)),
      () => store.at(`http://a/${below(20)}`).forEach((one) => void store.touch(one)),
      () => store.at(`http://a/${below(20)}`).forEach((one) => void ends.push(store.give(one))),
      () => void ends.splice(below(ends.length), 1)[0]?.(),
      () => void store.invalidate(`http://a/${below(20)}`),
      () => {
        const filling = store.fill(`http://a/${below(20)}`);
        filling.reserve(below(30_000));
        ends.push(() => filling.end());
      },
    ];
    for (let step = 0; step < 20_000; step++) {
      steps[below(steps.length)]!();
      expect(store.bytes).toBeLessThanOrEqual(bytesMax);
    }
    for (const end of ends.splice(0)) end();
    expect(store.bytes).toBe(store.keptBytes);
    for (let i = 0; i < 20; i++) store.invalidate(`http://a/${i}`);
    expect([store.bytes, store.size]).toEqual([0, 0]);
  });

  test("counts what somebody is still given after it was thrown out", () => {
    const store = new Store({ bytesMax: 20_000, evicted: () => {} });
    const one = stored("http://a/", 10_000);
    store.add(one);
    const end = store.give(one);
    store.invalidate("http://a/");
    expect([store.keptBytes, store.bytes]).toEqual([0, one.bytes]);
    expect(store.add(stored("http://b/", 10_000))).toBe(false);
    end();
    expect(store.add(stored("http://b/", 10_000))).toBe(true);
  });

  test("counts what a confirmation adds to a head", () => {
    const store = new Store({ bytesMax: 20_000, evicted: () => {} });
    const one = stored("http://a/", 10);
    store.add(one);
    const before = store.keptBytes;
    store.recount(one, () => one.freshen(answer([`X-New: ${"x".repeat(1000)}`]), timing, []));
    expect(store.keptBytes).toBeGreaterThan(before + 1000);
    expect(store.keptBytes).toBe(one.bytes);
  });
});

describe("Flights", () => {
  test("are at most 10,000; who finds no room goes alone", () => {
    const flights = new Flights();
    const begun = Array.from({ length: 10_000 }, (_, i) => flights.begin(String(i)));
    expect(begun.every((flight) => flight !== null)).toBe(true);
    expect(flights.begin("more")).toBeNull();
    begun[0]!.land("kept");
    begun[0]!.land("kept");
    expect(flights.begin("more")).not.toBeNull();
    expect(flights.size).toBe(10_000);
  });
});
