import { afterEach, describe, expect, test } from "bun:test";
import concurrency from "../../src/filters/concurrency.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import type { FilterDefinition } from "../../src/types.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../runtime/setting.ts";
import { eventually } from "../runtime/waiting.ts";
import { SeededRandom } from "../seeded-random.ts";
import { appOf, createMiddleware, testEnv, testTools } from "./tools.ts";

afterEach(closeAll);

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Asks a filter with an environment of its own; the request is under way until it is finished. */
function asking(options: object, tools = testTools()) {
  const app = appOf([createMiddleware(concurrency as FilterDefinition, options, tools)]);
  const ask = async () => {
    const env = testEnv();
    const answer = await app.request("/", {}, env);
    return { status: answer.status, answer, finish: env.finish };
  };
  return { ask, tools };
}

describe("concurrency", () => {
  test("refuses what is more than the limit until one has finished, and counts", async () => {
    const { ask, tools } = asking({ limit: 2 });
    const [first, second, third] = [await ask(), await ask(), await ask()];
    expect([first.status, second.status, third.status]).toEqual([200, 200, 503]);
    expect(third.answer.headers.get("x-clearway-reason")).toBe("concurrency-limited");
    expect(third.answer.headers.get("retry-after")).toBeNull();
    expect(tools.counts.get('concurrency_refused {"limit":"tested"}')).toBe(1);
    first.finish();
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 503]);
  });

  test("holds for the node, and forgets what a worker had that was killed", async () => {
    const bytes = privateMemory();
    const memory = [0, 1].map((worker) => new NodeMemory(bytes, new SeededRandom(worker)));
    const [one, other] = memory.map((each, worker) => {
      const share = each.share(worker);
      return asking({ limit: 2 }, testTools({ inFlight: (key) => share.inFlight(key)!.value }));
    });
    expect([(await one!.ask()).status, (await one!.ask()).status]).toEqual([200, 200]);
    expect((await other!.ask()).status).toBe(503);
    memory[1]!.forget(0);
    expect([(await other!.ask()).status, (await other!.ask()).status]).toEqual([200, 200]);
    expect((await other!.ask()).status).toBe(503);
  });

  test("adapts within its bounds, which hold for the node", async () => {
    const { ask } = asking({ adaptive: { min: 2, max: 3, initial: 20 } });
    const answers = [await ask(), await ask(), await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503]);
    answers[0]!.finish();
    expect((await ask()).status).toBe(200);
  });

  test("keeps what it learnt and what is under way over a reload", async () => {
    const tools = testTools();
    const options = { adaptive: { min: 1, max: 10, initial: 1 } };
    const [before, after] = [asking(options, tools), asking(options, tools)];
    const first = await before.ask();
    expect((await after.ask()).status).toBe(503);
    first.finish();
    expect((await after.ask()).status).toBe(200);
  });
});

describe("concurrency, on the wire", () => {
  test("counts a request until the last byte of its answer left", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    const upstream = await upstreamWith({ onRequest: () => `${head}ha` });
    const proxy = await proxyTo({
      ports: [upstream.port],
      route: "        filters: [{ concurrency: { limit: 1 } }]",
    });
    const [first, second] = [await caller(proxy), await caller(proxy)];
    first.send(get);
    await eventually("the request", () => upstream.requests.length === 1);
    const refused = await second.exchange(get);
    expect([statusOf(refused), values(refused, "x-clearway-reason")]).toEqual([503, ["concurrency-limited"]]);
    upstream.connections[0]!.send("lf");
    await eventually("the end of the first", () => proxy.measured.some(({ status }) => status === 200));
    second.send(get);
    await eventually("the third request", () => upstream.requests.length === 2);
  });

  test("counts a request no longer whose caller left", async () => {
    const upstream = await upstreamWith({ onRequest: () => null });
    const proxy = await proxyTo({
      ports: [upstream.port],
      route: "        filters: [{ concurrency: { limit: 1 } }]",
    });
    const [first, second] = [await caller(proxy), await caller(proxy)];
    first.send(get);
    await eventually("the request", () => upstream.requests.length === 1);
    first.close();
    await eventually("the end of the first", () => proxy.measured.length === 1);
    second.send(get);
    await eventually("the second request", () => upstream.requests.length === 2);
  });
});
