/**
 * What a mesh promises of a hop, kept by ordinary configs: a node of the service that drains loses nothing, one that is
 * killed loses no request that may be sent twice. CLEARWAY_HOPS=20 does each that often and says what it counted.
 */
import { expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startLoad } from "../bench/load.ts";
import { processTree } from "../bench/processes.ts";
import { counted, type Hop, type HopNode, keepPosting, smallBody, startHop } from "./mesh-hop.ts";
import { until } from "./program.ts";

const times = Number(process.env.CLEARWAY_HOPS ?? 1);
const getters = 32;
const posters = 8;
/** Of load before something happens, and after it ended. */
const loadMs = 1_500;

function keepGetting({ callers }: Hop) {
  const wanted = { status: 200, body: Buffer.from(smallBody) };
  return startLoad({
    port: callers.port,
    path: "/get",
    connections: getters,
    requestsPerSecond: null,
    wanted,
  });
}

/** What was lost of GETs and POSTs while it happened to one of the service's nodes. */
async function lossesOf(hop: Hop, happen: (node: HopNode) => Promise<void>) {
  const gets = keepGetting(hop);
  const posts = keepPosting(hop, posters);
  await sleep(loadMs);
  await happen(hop.services[0]!);
  await sleep(loadMs);
  const [got, posted] = await Promise.all([gets.stop(), posts.stop()]);
  const { succeeded, failed, examples, closedByPeer, latencyMs } = got;
  const retried = await counted(hop.callers, "clearway_filter_retries_total");
  return { gets: { succeeded, failed, examples, closedByPeer, latencyMs }, posted, retried };
}

async function repeated(filters: string, happen: (node: HopNode) => Promise<void>) {
  const all: Awaited<ReturnType<typeof lossesOf>>[] = [];
  for (let round = 0; round < times; round++) {
    const hop = await startHop({ filters });
    try {
      const losses = await lossesOf(hop, happen);
      if (process.env.CLEARWAY_HOPS !== undefined) console.log(JSON.stringify(losses));
      all.push(losses);
    } finally {
      await hop.stop();
    }
  }
  return all;
}

test("a hop: a node of the service that drains under load fails no request", async () => {
  const drain = async ({ running }: HopNode) => {
    expect(await running.stop(20_000)).toBe(0);
  };
  for (const { gets, posted } of await repeated("[retry]", drain)) {
    expect(gets).toMatchObject({ failed: 0, examples: [], closedByPeer: 0 });
    expect(posted).toMatchObject({ failures: [], repeated: 0 });
    expect(gets.succeeded).toBeGreaterThan(100);
  }
}, 3_600_000);

test("a hop: a node of the service that is killed under load loses no GET, and no POST is begun twice", async () => {
  const kill = async ({ running }: HopNode) => {
    for (const pid of processTree(running.pid)) process.kill(pid, "SIGKILL");
  };
  for (const { gets, posted } of await repeated("[retry]", kill)) {
    expect(gets).toMatchObject({ failed: 0, examples: [], closedByPeer: 0 });
    expect(posted.repeated).toBe(0);
    expect(posted.failures.every(({ why, begun }) => why === "502 upstream-reset" && begun <= 1)).toBe(true);
    // Those that were under way there, and no others.
    expect(posted.failures.length).toBeLessThanOrEqual(posters);
  }
}, 3_600_000);

test("a hop: a node of the service that does not believe the callers' node loses nothing, and is named when all do", async () => {
  const one = await startHop({ filters: "[retry]", foreign: 1 });
  try {
    const gets = keepGetting(one);
    const posts = keepPosting(one, posters);
    await sleep(loadMs);
    expect(await gets.stop()).toMatchObject({ failed: 0, examples: [] });
    expect(await posts.stop()).toMatchObject({ failures: [], repeated: 0 });
  } finally {
    await one.stop();
  }
  const all = await startHop({ filters: "[retry]", foreign: 3 });
  try {
    const answer = await fetch(`http://127.0.0.1:${all.callers.port}/`, { method: "POST", body: "x" });
    expect([answer.status, answer.headers.get("x-clearway-reason")]).toEqual([503, "no-healthy-endpoint"]);
    const words = "the other side does not believe the certificate";
    await until(all.callers.running.log, (log) => log.includes(words));
    expect(all.seen.requests).toBe(0);
  } finally {
    await all.stop();
  }
}, 120_000);
