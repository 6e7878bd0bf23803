/** The online store on this machine: sample services, a gateway before them, visible traffic through it. */
import { gatewayConfig } from "./gateway.ts";
import { isReady, viewGateway } from "./gateway-view.ts";
import type { DemoNode, DemoOptions, DemoParts } from "./parts.ts";
import { type Pause, pauses, wait } from "./pause.ts";
import { type Act, ReloadWatch, rehearsal } from "./rehearsal.ts";
import { type Addresses, grouped, Screen } from "./screen.ts";
import { Shoppers } from "./shoppers.ts";
import { openStore, type Store } from "./store.ts";

export type { DemoNode, DemoOptions, DemoParts, PaintStyle } from "./parts.ts";

const startTimeoutMs = 10_000;
const readyEveryMs = 20;
const lookEveryMs = 250;
const progressEveryMs = 1000;

/** All that runs while the demo does. */
interface Stage extends Addresses {
  readonly store: Store;
  readonly node: DemoNode;
  readonly acts: readonly Act[];
  readonly logPath: string;
}

interface Show {
  readonly parts: DemoParts;
  readonly stage: Stage;
  readonly screen: Screen;
  readonly shoppers: Shoppers;
  readonly reloads: ReloadWatch;
}

/** Returns the exit code: 0 when every request got the answer that it should, and every change what it should. */
export async function runDemo(parts: DemoParts, options: DemoOptions): Promise<number> {
  const screen = new Screen(parts.terminal, parts.paint);
  const pause = pauses(parts.clock, parts.random);
  const stage = await openStage(parts, options, pause);
  try {
    if (!(await becomesReady(parts, stage))) {
      screen.line(`the gateway did not start: ${stage.logPath} says why`);
      return 1;
    }
    const shoppers = new Shoppers({ ...parts, pause, gatewayUrl: stage.gatewayUrl });
    const show: Show = { parts, stage, screen, shoppers, reloads: new ReloadWatch() };
    screen.head(stage);
    const tookMs = await play(show, options);
    return await conclude(show, tookMs);
  } finally {
    stage.node.stop();
    await stage.node.ended;
    await stage.store.close();
  }
}

async function openStage(parts: DemoParts, { forMs }: DemoOptions, pause: Pause): Promise<Stage> {
  const { folder, random, fetch } = parts;
  const port = await parts.freePort(8080);
  const adminPort = await parts.freePort(9900);
  const gatewayUrl = `http://127.0.0.1:${port}`;
  const store = await openStore({ gatewayUrl, random, pause, fetch });
  const plan = { port, adminPort, accessLog: `${folder}/access.log`, ports: store.ports };
  const now = gatewayConfig({ ...plan, split: [90, 10] });
  const next = gatewayConfig({ ...plan, split: [60, 40] });
  const configPath = `${folder}/clearway.yaml`;
  const logPath = `${folder}/gateway.log`;
  await parts.writeFile(configPath, now);
  return {
    gatewayUrl,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    configPath,
    logPath,
    store,
    node: parts.startNode(configPath, logPath),
    acts: rehearsal(forMs, next),
  };
}

async function becomesReady({ clock, fetch }: DemoParts, { node, adminUrl }: Stage): Promise<boolean> {
  const deadlineMs = clock.now() + startTimeoutMs;
  let ended = false;
  void node.ended.then(() => {
    ended = true;
  });
  while (!ended && clock.now() < deadlineMs) {
    if (await isReady(adminUrl, fetch)) return true;
    await wait(clock, readyEveryMs);
  }
  return false;
}

/** Sends traffic until the time is over, somebody stops it, or the gateway is gone; returns how long that was. */
async function play(show: Show, { forMs }: DemoOptions): Promise<number> {
  const { parts, stage, screen, shoppers } = show;
  let stopping = false;
  const stop = () => {
    stopping = true;
  };
  parts.onStop(stop);
  void stage.node.ended.then(stop);
  const startMs = parts.clock.now();
  const acts = [...stage.acts];
  let progressAtMs = progressEveryMs;
  await look(show);
  shoppers.start();
  let elapsedMs = 0;
  while (!stopping && (forMs === null || elapsedMs < forMs)) {
    if (acts[0] !== undefined && acts[0].atMs <= elapsedMs) await perform(show, acts.shift()!);
    await look(show);
    if (elapsedMs >= progressAtMs) {
      screen.progress(elapsedMs, shoppers);
      shoppers.clearRecent();
      progressAtMs += progressEveryMs;
    }
    await wait(parts.clock, lookEveryMs);
    elapsedMs = parts.clock.now() - startMs;
  }
  await shoppers.stop();
  return elapsedMs;
}

async function perform({ parts, stage, screen }: Show, { says, config }: Act): Promise<void> {
  screen.event("cyan", says);
  await parts.writeFile(stage.configPath, config);
}

async function look({ parts, stage, screen, shoppers, reloads }: Show): Promise<void> {
  const view = await viewGateway(stage.adminUrl, parts.fetch);
  if (view === null) return;
  const event = reloads.look(view);
  if (event === null) return;
  const style = event.kind === "refused" ? "yellow" : "green";
  screen.event(style, `${event.text}; ${grouped(shoppers.failed)} requests failed`);
}

async function conclude({ stage, screen, shoppers, reloads }: Show, tookMs: number): Promise<number> {
  stage.node.stop();
  const code = await stage.node.ended;
  screen.summary(shoppers);
  const { live, refused } = reloads.counts;
  screen.line(`reloads: ${live} live, ${refused} refused`);
  const problems: string[] = [];
  if (code !== 0) problems.push(`the gateway ended with ${code === null ? "a signal" : `code ${code}`}`);
  if (stage.acts.length > 0 && live === 0) problems.push("the changed config did not become live");
  if (stage.acts.length > 0 && refused === 0) problems.push("the broken config was not refused");
  for (const problem of problems) screen.line(`${problem}: ${stage.logPath} says why`);
  screen.line(
    `${grouped(shoppers.sent)} requests in ${(tookMs / 1000).toFixed(1)} s, ${grouped(shoppers.failed)} failed`,
  );
  return shoppers.failed === 0 && shoppers.sent > 0 && problems.length === 0 ? 0 : 1;
}
