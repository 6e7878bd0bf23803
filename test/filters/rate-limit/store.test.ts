/** Limits that nodes share, on a real Redis that stops, dies and comes back. */
import { afterEach, describe, expect, test } from "bun:test";
import rateLimit from "../../../src/filters/rate-limit.ts";
import { systemClock } from "../../../src/host/clock/node.ts";
import { until } from "../../program.ts";
import { closeAll, untilEnd } from "../../runtime/setting.ts";
import { type RealChain, realChain } from "../real-chain.ts";
import { hasRedis, needsRedis, RunningRedis } from "./redis.ts";

afterEach(closeAll);

async function redisWith(password = ""): Promise<RunningRedis> {
  return untilEnd(await RunningRedis.start(password));
}

/** One worker of a node; its limits give nothing back while a test runs, unless it says otherwise. */
function node(store: string, options: object = {}): RealChain {
  const rules = { requests: 1, per: "24h", burst: 5, headers: false, storeTimeout: "2s" };
  const chain = realChain(rateLimit, { ...rules, store, ...options }, { clock: systemClock });
  untilEnd({ stop: () => chain.close() });
  return chain;
}

const result = (chain: RealChain, name: string) => chain.counted(`rate_limit_store ${name}`);

/** Until its requests are counted by the store; what they took there is forgotten. */
async function connected(redis: RunningRedis, ...nodes: RealChain[]): Promise<void> {
  for (const chain of nodes) {
    const before = result(chain, "answered");
    await until(
      async () => {
        await chain.send();
        return result(chain, "answered");
      },
      (answered) => answered > before,
    );
  }
  await redis.command("FLUSHALL");
}

async function statuses(chain: RealChain, count: number): Promise<number[]> {
  return (await Promise.all(Array.from({ length: count }, () => chain.send()))).map(({ status }) => status);
}

const passed = (all: readonly number[]) => all.filter((status) => status === 200).length;

describe.skipIf(!hasRedis)(`${needsRedis}rate-limit with a store`, () => {
  test("is one limit for two nodes, exactly", async () => {
    const redis = await redisWith();
    const nodes = [0, 1].map(() => node(`redis://127.0.0.1:${redis.port}`, { burst: 50 }));
    await connected(redis, ...nodes);
    const all = await Promise.all(nodes.map((chain) => statuses(chain, 100)));
    expect(passed(all.flat())).toBe(50);
    expect(nodes.map((chain) => result(chain, "failed"))).toEqual([0, 0]);
  });

  test("gives back evenly, and forgets who owes nothing", async () => {
    const redis = await redisWith();
    const chain = node(`redis://127.0.0.1:${redis.port}`, { requests: 10, per: "1s", burst: 2 });
    await connected(redis, chain);
    expect(await statuses(chain, 3)).toEqual([200, 200, 429]);
    expect(await redis.command("DBSIZE")).toContain(":1");
    await redis.answered("DBSIZE", ":0");
    expect(await statuses(chain, 3)).toEqual([200, 200, 429]);
  });

  test("has user, password and database from the URL, or a unix socket", async () => {
    const redis = await redisWith("p:a@s/s");
    const login = `:${encodeURIComponent("p:a@s/s")}`;
    for (const [index, url] of [
      `redis://${login}@127.0.0.1:${redis.port}/3`,
      `redis://default${login}@127.0.0.1:${redis.port}/3`,
      `unix://${login}@${redis.unixPath}?db=3`,
    ].entries()) {
      const chain = node(url, { burst: 7 + index });
      await connected(redis, chain);
      expect(passed(await statuses(chain, 20))).toBe(7 + index);
      expect(await redis.command("INFO keyspace")).toContain("db3:keys=1");
    }
  });

  test("loads its script again where the server has lost it", async () => {
    const redis = await redisWith();
    const chain = node(`redis://127.0.0.1:${redis.port}`);
    await connected(redis, chain);
    await redis.command("SCRIPT FLUSH");
    expect(passed(await statuses(chain, 10))).toBe(5);
    expect(result(chain, "failed")).toBe(0);
  });

  test("that dies in the middle of requests: they are counted by the node, and it is used again when it is back", async () => {
    const redis = await redisWith();
    const chain = node(`redis://127.0.0.1:${redis.port}`);
    await connected(redis, chain);
    redis.pause();
    const waiting = statuses(chain, 20);
    await redis.kill();
    // The burst of the node's own bucket; some of it may be gone, from before the store was there.
    const own = passed(await waiting);
    expect(own).toBeGreaterThan(0);
    expect(own).toBeLessThanOrEqual(5);
    expect(passed(await statuses(chain, 20))).toBe(0);
    await redis.start();
    await connected(redis, chain);
    expect(passed(await statuses(chain, 20))).toBe(5);
    const messages = chain.parts.logged.map(({ message }) => message);
    expect(messages.filter((message) => message.includes("is away"))).toHaveLength(1);
    expect(messages.filter((message) => message.includes("is back"))).toHaveLength(1);
  });

  test("that hangs: a request waits no longer than the timeout, the next ones not at all", async () => {
    const redis = await redisWith();
    const chain = node(`redis://127.0.0.1:${redis.port}`, { storeTimeout: "300ms", burst: 1000 });
    await connected(redis, chain);
    redis.pause();
    const failedBefore = result(chain, "failed");
    const began = performance.now();
    expect((await chain.send()).status).toBe(200);
    // How much longer is the machine's business; that it ended is the point: the server says nothing at all.
    expect(performance.now() - began).toBeGreaterThanOrEqual(300);
    expect(result(chain, "failed")).toBe(failedBefore + 1);
    const awayBefore = result(chain, "away");
    expect(passed(await statuses(chain, 50))).toBe(50);
    expect(result(chain, "away")).toBe(awayBefore + 50);
    // It still takes connections, and is not back for that.
    await Bun.sleep(500);
    expect(chain.parts.logged.map(({ message }) => message)).toEqual([
      "the store of limits is away: each node counts for itself",
    ]);
    redis.resume();
    await connected(redis, chain);
    expect(chain.parts.logged).toHaveLength(2);
  });

  test("has a bounded number of requests that wait for it", async () => {
    const redis = await redisWith();
    const chain = node(`redis://127.0.0.1:${redis.port}`, { storeTimeout: "10s", burst: 10_000 });
    await connected(redis, chain);
    redis.pause();
    const waiting = statuses(chain, 1_200);
    await until(
      () => result(chain, "busy"),
      (busy) => busy === 200,
    );
    redis.resume();
    expect(passed(await waiting)).toBe(1_200);
    expect(result(chain, "failed")).toBe(0);
  });

  test("whose password is wrong is away, said once and without the password", async () => {
    const redis = await redisWith("right-password");
    const chain = node(`redis://:wrong-password@127.0.0.1:${redis.port}`);
    await until(
      async () => {
        await chain.send();
        return chain.parts.logged.length;
      },
      (logged) => logged > 0,
    );
    for (let call = 0; call < 20; call++) await chain.send();
    expect(chain.parts.logged).toHaveLength(1);
    expect(chain.parts.logged[0]).toMatchObject({
      message: "the store of limits is away: each node counts for itself",
      fields: { store: `127.0.0.1:${redis.port}, database 0` },
    });
    expect(JSON.stringify(chain.parts.logged)).not.toContain("wrong-password");
  });

  test("keeps one connection over a reload, and closes it with its last user", async () => {
    const redis = await redisWith();
    const url = `redis://127.0.0.1:${redis.port}`;
    const before = node(url);
    await connected(redis, before);
    const clients = async () => /connected_clients:(\d+)/.exec(await redis.command("INFO clients"))![1];
    expect(await clients()).toBe("2");
    const after = realChain(
      rateLimit,
      { requests: 9, per: "24h", store: url, storeTimeout: "2s" },
      before.parts,
    );
    before.close();
    await connected(redis, after);
    expect(await clients()).toBe("2");
    after.close();
    await redis.answered("INFO clients", "connected_clients:1\r");
  });
});

test("rate-limit with a store that is not there counts for the node from the first request on", async () => {
  const chain = node("redis://127.0.0.1:9", { burst: 3 });
  expect(passed(await statuses(chain, 10))).toBe(3);
  expect(result(chain, "away")).toBe(10);
});
