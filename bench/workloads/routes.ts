/** Many routes: how long a saved config takes to be live, how long that holds requests up, and what a match costs. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type LoadResult, startLoad } from "../load.ts";
import { busyRoutes, type ManyRoutes, manyRoutes, pathOf, routeLines, serviceFiles } from "../many-routes.ts";
import { Matching, matchingCases } from "../matching.ts";
import { cpuBetween, proxyCores, readCpu } from "../processes.ts";
import {
  clearway,
  fillTemplate,
  makeFolder,
  removeFolder,
  type Subject,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import type { BenchOptions, Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";
import { type CostRow, type LiveRow, type MatchingRow, type RoutesRow, report } from "./routes-report.ts";

const template = "clearway-routes.yaml";
const sizes = [10, 100, 1_000, 10_000];
/** Of the matching: the fewest and the most. */
const [few, many] = [sizes[0]!, sizes.at(-1)!];
const matchingRounds = 9;
const matchesWanted = { full: 1_000_000, quick: 100_000 };
const savesWanted = { full: 9, quick: 3 };
const roundsWanted = { full: 3, quick: 1 };
const secondsWanted = { full: 5, quick: 2 };
const pollMs = 2;
const liveMsMax = 60_000;
/** From one save to the next, so that what the last one left behind is gone. */
const restMs = 1_000;
/** A request every other millisecond sees whatever holds the worker for longer. */
const load = { connections: 4, requestsPerSecond: 500 };
const wrkConnections = 64;

async function* run(options: BenchOptions): AsyncGenerator<RoutesRow, void, void> {
  const wanted = (name: string) =>
    options.only.length === 0 || options.only.some((only) => name.includes(only));
  if (wanted("matching")) yield* matching(options);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    if (wanted("live")) for (const size of sizes) yield* live(options, backend.port, manyRoutes(size));
    if (wanted("cost")) yield* cost(options, backend.port);
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

function* matching(options: BenchOptions): Generator<MatchingRow, void, void> {
  for (const kind of matchingCases) {
    for (const order of ["one", "in turn"] as const) {
      options.say(`routes: matching, ${kind}, ${order}`);
      const both = [few, many].map((routes) => ({ routes, matching: new Matching(kind, routes, order) }));
      // The first round is for the compiler.
      for (let round = 0; round <= matchingRounds; round++) {
        for (const { routes, matching } of round % 2 === 0 ? both : both.toReversed()) {
          const nanoseconds = matching.measure(matchesWanted[options.size]);
          if (round > 0) yield { kind: "matching", case: kind, order, round, routes, nanoseconds };
        }
      }
    }
  }
}

/** A node with so many routes, and what it needs to be given another config. */
interface Scene {
  readonly size: ManyRoutes;
  readonly subject: Subject;
  readonly backendPort: number;
  readonly values: Readonly<Record<string, string>>;
  readonly servicesFolder: string;
}

async function startScene(
  options: BenchOptions,
  node: { readonly size: ManyRoutes; readonly backendPort: number; readonly cores: string | null },
): Promise<Scene> {
  const { size, backendPort, cores } = node;
  const servicesFolder = makeFolder();
  for (const [name, text] of serviceFiles(size, backendPort)) writeFileSync(join(servicesFolder, name), text);
  const values = { services: servicesFolder, routes: routeLines(size) };
  const program = clearway(options.clearway.command, "clearway");
  const first = { ...values, generation: 0 };
  const subject = await startSubject(program, { backendPort, cores, template, values: first });
  await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
  return { size, subject, backendPort, values, servicesFolder };
}

async function stopScene({ subject, servicesFolder }: Scene): Promise<void> {
  await stopSubject(subject);
  removeFolder(servicesFolder);
}

async function* live(
  options: BenchOptions,
  backendPort: number,
  size: ManyRoutes,
): AsyncGenerator<LiveRow, void, void> {
  options.say(`routes: ${size.routes} live`);
  // On all cores, as on a machine of its own.
  const scene = await startScene(options, { size, backendPort, cores: null });
  try {
    for (let save = 1; save <= (options.rounds ?? savesWanted[options.size]); save++) {
      await sleep(restMs);
      const traffic = startLoad({
        ...load,
        port: scene.subject.port,
        path: pathOf(size.routes - 1),
        wanted: { status: 200, body: smallBody },
      });
      const liveMs = await saved(scene, save);
      await sleep(restMs);
      yield {
        kind: "live",
        ...size,
        save,
        liveMs,
        ...heldIn(scene.subject),
        ...seenBy(await traffic.stop()),
      };
    }
  } finally {
    await stopScene(scene);
  }
}

/** Saves the config as an editor does, and returns how long it took to be live. */
async function saved({ subject, backendPort, values }: Scene, generation: number): Promise<number> {
  const { port, adminPort: admin, configPath } = subject;
  const text = fillTemplate(template, { ...values, port, admin, backend: backendPort, generation });
  writeFileSync(`${configPath}.new`, text);
  renameSync(`${configPath}.new`, configPath);
  const savedAt = performance.now();
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/generation`);
    const seen = await answer.text();
    const passedMs = performance.now() - savedAt;
    if (seen === String(generation)) return passedMs;
    if (passedMs > liveMsMax) {
      throw new Error(
        `generation ${generation} was not live after ${liveMsMax} ms: found "${seen}"\n${subject.running?.log()}`,
      );
    }
    await sleep(pollMs);
  }
}

/** What the node said of its last reload. */
function heldIn(subject: Subject): Pick<LiveRow, "heldMs" | "heldTotalMs"> {
  const log = subject.running!.log();
  const said = [...log.matchAll(/"heldMs":(\d+),"heldTotalMs":(\d+)/g)].at(-1);
  if (said === undefined) throw new Error(`the node did not say how long it held requests up:\n${log}`);
  return { heldMs: Number(said[1]), heldTotalMs: Number(said[2]) };
}

function seenBy({ failed, latencyMs }: LoadResult): Pick<LiveRow, "failed" | "latencyMsMax"> {
  return { failed, latencyMsMax: latencyMs.max };
}

/** All sizes are there at once, so that a round measures them one right after the other. */
async function* cost(options: BenchOptions, backendPort: number): AsyncGenerator<CostRow, void, void> {
  const scenes: Scene[] = [];
  const seconds = options.seconds ?? secondsWanted[options.size];
  const measure = ({ size, subject }: Scene) =>
    runWrk({
      url: `http://127.0.0.1:${subject.port}/small`,
      connections: wrkConnections,
      seconds,
      uploadBytes: 0,
      routes: busyRoutes(size),
    });
  try {
    for (const size of sizes) {
      scenes.push(await startScene(options, { size: manyRoutes(size), backendPort, cores: proxyCores }));
    }
    for (const scene of scenes) await measure(scene);
    for (let round = 1; round <= (options.rounds ?? roundsWanted[options.size]); round++) {
      options.say(`routes: cost, round ${round}`);
      for (const scene of round % 2 === 1 ? scenes : scenes.toReversed()) {
        const before = readCpu(scene.subject.running!.pid);
        const { requests, failed } = await measure(scene);
        const cpuUs = cpuBetween(before, readCpu(scene.subject.running!.pid));
        yield { kind: "cost", ...scene.size, round, requests, failed, cpuUs };
      }
    }
  } finally {
    for (const scene of scenes) await stopScene(scene);
  }
}

export const routes: Workload<RoutesRow> = {
  ...{ name: "routes", title: "10 to 10,000 routes: live after a save, and what they cost" },
  run,
  report,
};
