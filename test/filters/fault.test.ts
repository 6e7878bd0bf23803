import { afterEach, describe, expect, test } from "bun:test";
import fault from "../../src/filters/fault.ts";
import { responseFrom } from "../runtime/fetch/messages.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { caller, closeAll, proxyTo, setting, upstreamWith } from "../runtime/setting.ts";
import { eventually } from "../runtime/waiting.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { upstreamChain } from "./sending/upstream-chain.ts";

afterEach(closeAll);

const ok = () => responseFrom([], { status: 200 });
const chainOf = (options: object, seed = 1) =>
  upstreamChain(fault, options, { random: new SeededRandom(seed) });

describe("fault", () => {
  test("holds every request back that it is asked to", async () => {
    const chain = chainOf({ delay: { for: "250ms" } });
    const ended = await chain.run(ok);
    expect([ended.response!.status, ended.sent.map(({ atMs }) => atMs)]).toEqual([200, [250]]);
    expect(chain.counted("faults orders delay")).toBe(1);
  });

  test("refuses in its own name, without a sending", async () => {
    const chain = chainOf({ abort: { status: 503 } });
    const { response, sent } = await chain.run(ok);
    expect([response!.status, response!.headers.get("x-clearway-reason"), sent.length]).toEqual([
      503,
      "fault",
      0,
    ]);
    expect(await response!.text()).toBe("fault: this route refuses requests on purpose\n");
    expect(chain.counted("faults orders abort")).toBe(1);
  });

  test("refuses after the delay where it does both", async () => {
    const ended = await chainOf({ delay: { for: "1s" }, abort: { status: 500 } }).run(ok);
    expect([ended.response!.status, ended.elapsedMs]).toEqual([500, 1000]);
  });

  test("draws the share that is asked for, the same ones from the same chance", async () => {
    const drawn = async (percent: number | string) => {
      const chain = chainOf({ abort: { status: 500, percent } });
      const statuses: number[] = [];
      for (let call = 0; call < 1000; call++) statuses.push((await chain.run(ok)).response!.status);
      return statuses;
    };
    const refused = (statuses: number[]) => statuses.filter((status) => status === 500).length;
    const tenth = await drawn(10);
    expect(refused(tenth)).toBeGreaterThan(70);
    expect(refused(tenth)).toBeLessThan(130);
    expect(await drawn("10%")).toEqual(tenth);
    expect(refused(await drawn(0))).toBe(0);
  });

  test("leaves requests alone that do not ask for it", async () => {
    const chain = chainOf({ abort: { status: 418 }, header: "x-chaos" });
    expect((await chain.run(ok)).response!.status).toBe(200);
    expect((await chain.run(ok, { fields: ["X-Chaos: any"] })).response!.status).toBe(418);
  });

  test("stops waiting for a caller who left", async () => {
    const left = new AbortController();
    const chain = chainOf({ delay: { for: "1m" } });
    chain.parts.clock.after(7, () => left.abort());
    expect((await chain.run(ok, { signal: left.signal })).elapsedMs).toBe(7);
    expect(chain.parts.clock.waiting).toBe(0);
  });

  test("reads its options", () => {
    const right = (given: object) => fault.options.safeParse(given).success;
    expect(right({ delay: { for: "10m" }, abort: { status: 400 } })).toBe(true);
    const abort = { status: 599 };
    expect(right({ abort })).toBe(true);
    for (const wrong of [
      {},
      { header: "x-chaos" },
      { delay: {} },
      { delay: { for: "11m" } },
      { abort: { status: 399 } },
      { abort: { status: 600 } },
      { abort: { status: 500, percent: 101 } },
      { abort, header: "no header" },
    ])
      expect([wrong, right(wrong)]).toEqual([wrong, false]);
  });
});

describe("fault, on the wire", () => {
  const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

  test("the refusal is measured as a fault, and no retry undoes it", async () => {
    const route = "        filters: [{ fault: { abort: { status: 503 } } }, { retry: { attempts: 3 } }]";
    const { client, upstream, proxy } = await setting({}, { route });
    const answer = await client.exchange(get);
    expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([503, ["fault"]]);
    expect(proxy.measured.at(-1)).toMatchObject({ status: 503, reason: "fault" });
    expect(upstream.requests).toEqual([]);
  });

  test("a delay past the route's timeout ends with it, and nothing is sent", async () => {
    const clock = new VirtualClock();
    const route = "        filters: [{ fault: { delay: { for: 10s } } }]\n        timeout: 1s";
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port], route }, { clock });
    const client = await caller(proxy);
    client.send(get);
    await eventually("the delay", () => proxy.counted.some(({ fault }) => fault === "delay"));
    for (let tick = 0; tick < 15; tick++) clock.advance(100);
    expect(statusOf(await client.answer())).toBe(504);
    clock.advance(10_000);
    expect(upstream.requests).toEqual([]);
  });
});
