/** The config is replaced again and again under load: no request may fail, and few may wait. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Histogram } from "../histogram.ts";
import { type LoadResult, startLoad } from "../load.ts";
import type { PeerName } from "../peers.ts";
import { proxyCores } from "../processes.ts";
import {
  clearway,
  fillTemplate,
  makeFolder,
  peerVariants,
  removeFolder,
  type Subject,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, roundsOf, type Workload } from "../workload.ts";
import { intervalMs, type Phase, type ReloadRow, report, requestsPerSecond } from "./reload-report.ts";

/** Each round; of Clearway there are a thousand in nine rounds. */
const reloadsWanted = { clearway: { full: 112, quick: 10 }, peer: { full: 30, quick: 10 } };
const warmMs = { full: 2_000, quick: 500 };
/** Asked that often which config is live; for each of them, and for an answer, so long. */
const pollMs = 5;
const liveMsMax = 5_000;
const connections = 16;

/** How a proxy gets another config: the file that is replaced, and what tells the proxy. */
interface Way {
  readonly template: string;
  /** What is replaced, when it is not the config that it was started with. */
  readonly replaced?: { readonly name: string; readonly template: string };
  tell(subject: Subject, text: string): void | Promise<void>;
}

const nothingToTell = () => {};

const ways: Readonly<Partial<Record<PeerName | "clearway", Way>>> = {
  clearway: { template: "clearway-reload.yaml", tell: nothingToTell },
  nginx: { template: "nginx-reload.conf", tell: ({ running }) => void process.kill(running!.pid, "SIGHUP") },
  haproxy: {
    template: "haproxy-reload.cfg",
    tell: ({ running }) => void process.kill(running!.pid, "SIGUSR2"),
  },
  caddy: { template: "caddy-reload.caddyfile", tell: postToCaddy },
  envoy: {
    template: "envoy-reload.yaml",
    replaced: { name: "routes.yaml", template: "envoy-reload-routes.yaml" },
    tell: nothingToTell,
  },
};

/** What `caddy reload` does. */
async function postToCaddy({ adminPort }: Subject, body: string): Promise<void> {
  const headers = { "content-type": "text/caddyfile" };
  const answer = await fetch(`http://127.0.0.1:${adminPort}/load`, { method: "POST", headers, body });
  if (answer.status !== 200) throw new Error(`caddy refused its config: ${await answer.text()}`);
}

interface Scene {
  readonly subject: Subject;
  readonly backendPort: number;
  readonly way: Way;
  generation: number;
}

async function* run(options: BenchOptions): AsyncGenerator<ReloadRow, void, void> {
  const own = clearway(options.clearway.command, "clearway");
  const peers = peerVariants.filter(({ name }) => ways[name] !== undefined && options.peers.has(name));
  const variants = options.size === "quick" ? [own] : [...peers, own];
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 9, quick: 1 })) {
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        options.say(`reload: round ${round}, ${variant.name}`);
        const measurement = { options, round, backendPort: backend.port };
        // A peer whose config was not live in time misses its rows of this round; Clearway's would be a fault.
        const rows = await measure(variant, measurement).catch((error: Error) => {
          if (variant === own) throw error;
          options.say(`reload: ${variant.name} is left out of round ${round}: ${error.message}`);
          return [];
        });
        yield* rows;
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

interface Measurement {
  readonly options: BenchOptions;
  readonly round: number;
  readonly backendPort: number;
}

/** A fresh process; both phases are of the same one. */
async function measure(variant: Variant, { options, round, backendPort }: Measurement): Promise<ReloadRow[]> {
  const name = variant.name as PeerName | "clearway";
  const way = ways[name]!;
  const { template, replaced } = way;
  const files = replaced === undefined ? {} : { [replaced.name]: replaced.template };
  const started = { backendPort, cores: proxyCores, template, files, values: { generation: 0 } };
  const subject = await startSubject(variant, started);
  const scene = { subject, backendPort, way, generation: 0 };
  const reloads = reloadsWanted[name === "clearway" ? "clearway" : "peer"][options.size];
  const none = { reloads: 0, liveMs: { p50: 0, max: 0 } };
  const run: Readonly<Record<Phase, () => Promise<LoadResult & Pick<ReloadRow, "reloads" | "liveMs">>>> = {
    steady: async () => ({ ...none, ...(await load(scene, () => sleep(reloads * intervalMs))) }),
    reloading: () => reloading(scene, reloads),
  };
  try {
    await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
    await load(scene, () => sleep(warmMs[options.size]));
    const phases = ["steady", "reloading"] as const;
    const rows: ReloadRow[] = [];
    for (const phase of round % 2 === 1 ? phases : phases.toReversed()) {
      rows.push({ variant: name, round, phase, ...(await run[phase]()) });
    }
    return rows;
  } finally {
    await stopSubject(subject);
  }
}

/** In every phase it is asked which config is live: what that costs tells no phase from another. */
async function load({ subject }: Scene, during: (asked: Asked) => Promise<unknown>): Promise<LoadResult> {
  const wanted = { status: 200, body: smallBody };
  const generator = startLoad({ port: subject.port, path: "/small", connections, requestsPerSecond, wanted });
  const asked = startAsking(subject.port);
  let result: LoadResult;
  try {
    await during(asked);
  } finally {
    await asked.stop();
    result = await generator.stop();
  }
  return result;
}

async function reloading(scene: Scene, reloads: number) {
  const live = new Histogram();
  const result = await load(scene, async (asked) => {
    for (let reload = 0; reload < reloads; reload++) {
      const nextAt = performance.now() + intervalMs;
      live.add((await save(scene, asked)) * 1000);
      await sleep(Math.max(0, nextAt - performance.now()));
    }
  });
  const liveMs = { p50: live.percentileUs(0.5) / 1000, max: live.maxUs / 1000 };
  return { ...result, reloads: live.count, liveMs };
}

/** Saves the next generation as an editor does, tells the proxy, and returns how long it took to be live. */
async function save(scene: Scene, asked: Asked): Promise<number> {
  const { subject, backendPort, way } = scene;
  const { port, adminPort: admin, configPath, folder } = subject;
  const generation = ++scene.generation;
  const values = { port, admin, backend: backendPort, generation, folder, workerConnections: 8192 };
  const text = fillTemplate(way.replaced?.template ?? way.template, values);
  const path = way.replaced === undefined ? configPath : join(folder, way.replaced.name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  const savedAt = performance.now();
  await way.tell(subject, text);
  for (;;) {
    const seen = await asked.next();
    const passedMs = performance.now() - savedAt;
    if (seen === String(generation)) return passedMs;
    if (passedMs > liveMsMax) {
      throw new Error(
        `generation ${generation} was not live after ${liveMsMax} ms: found "${seen}"\n${subject.running?.log()}`,
      );
    }
  }
}

interface Asked {
  /** The generation that the next answer names; null when there was none. */
  next(): Promise<string | null>;
  stop(): Promise<void>;
}

/** Asks what serves, again and again. */
function startAsking(port: number): Asked {
  let state: "asking" | "stopped" = "asking";
  let next = Promise.withResolvers<string | null>();
  const ask = async () => {
    while (state === "asking") {
      const seen = await generationOf(port);
      next.resolve(seen);
      next = Promise.withResolvers();
      await sleep(pollMs);
    }
  };
  const ended = ask();
  return {
    next: () => next.promise,
    stop() {
      state = "stopped";
      return ended;
    },
  };
}

/** On a connection of its own: one that is kept may belong to a process that was replaced. Null when it was refused. */
async function generationOf(port: number): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(liveMsMax);
    const answer = await fetch(`http://127.0.0.1:${port}/generation`, { keepalive: false, signal });
    return await answer.text();
  } catch {
    return null;
  }
}

export const reload: Workload<ReloadRow> = {
  ...{ name: "reload", title: "the config replaced under load", quickSeconds: 8 },
  run,
  report,
};
