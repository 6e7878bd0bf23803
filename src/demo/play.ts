/** The traffic, what happens meanwhile, and what became of it. */
import type { Split } from "./documents.ts";
import type { InstanceName } from "./members.ts";
import { liveVersion } from "./mesh-view.ts";
import type { DemoOptions, DemoParts } from "./parts.ts";
import { type Pause, wait } from "./pause.ts";
import { type Act, firstSplit, rehearsal } from "./rehearsal.ts";
import { both, type Screen } from "./screen.ts";
import { Shoppers } from "./shoppers.ts";
import { logPath, type Stage } from "./stage.ts";
import { Strangers } from "./strangers.ts";
import {
  type CallersByService,
  changesFinding,
  type Finding,
  grouped,
  hopsFinding,
  lossesFinding,
  policyFinding,
  splitFinding,
  wasInFlight,
} from "./verdict.ts";

const lookEveryMs = 100;
const progressEveryMs = 1000;
/** After a change is live, until no request is under way that began before it. */
const settleMs = 500;
const changeTimeoutMs = 5000;
const failuresShownMax = 5;

export interface Scene {
  readonly parts: DemoParts;
  readonly stage: Stage;
  readonly screen: Screen;
  readonly pause: Pause;
}

export class Play {
  readonly #scene: Scene;
  readonly #forMs: number | null;
  readonly #shoppers: Shoppers;
  readonly #strangers: Strangers;
  readonly #splits: { readonly split: Split; readonly counts: Map<string, number> }[] = [];
  readonly #changes = { live: 0, refused: 0 };
  readonly #ended: string[] = [];
  #acting: Promise<void> = Promise.resolve();
  #killedAtMs: number | null = null;
  #tookMs = 0;

  constructor(scene: Scene, { forMs }: DemoOptions) {
    const { parts, stage, pause } = scene;
    this.#scene = scene;
    this.#forMs = forMs;
    this.#shoppers = new Shoppers({ ...parts, pause, gatewayUrl: stage.gatewayUrl });
    this.#strangers = new Strangers({ ...parts, pause }, strangersOf(stage));
    this.#watchProcesses();
  }

  /** Until the time is over, somebody stops it, or one of the processes is gone that should not be. */
  async run(stopped: Promise<void>): Promise<void> {
    const { parts, stage, screen } = this.#scene;
    let stopping = false;
    void stopped.then(() => {
      stopping = true;
    });
    screen.head(stage);
    const startMs = parts.clock.now();
    const acts = rehearsal(this.#forMs);
    let progressAtMs = progressEveryMs;
    this.#shoppers.start();
    this.#strangers.start();
    this.#countSplit(firstSplit);
    let elapsedMs = 0;
    while (!stopping && this.#ended.length === 0 && (this.#forMs === null || elapsedMs < this.#forMs)) {
      if (acts[0] !== undefined && acts[0].atMs <= elapsedMs) {
        const { act } = acts.shift()!;
        this.#acting = this.#acting.then(() => this.#perform(act));
      }
      if (elapsedMs >= progressAtMs) {
        screen.progress(elapsedMs, this.#shoppers);
        this.#shoppers.clearRecent();
        progressAtMs += progressEveryMs;
      }
      await wait(parts.clock, lookEveryMs);
      elapsedMs = parts.clock.now() - startMs;
    }
    await this.#acting;
    await Promise.all([this.#shoppers.stop(), this.#strangers.stop()]);
    this.#tookMs = parts.clock.now() - startMs;
  }

  /** Returns the exit code. */
  conclude(): number {
    const { screen } = this.#scene;
    const { sent, failures } = this.#shoppers;
    screen.summary(this.#shoppers);
    const findings = this.#findings();
    screen.findings(findings);
    const unexplained = failures.filter((failure) => !wasInFlight(failure, this.#killedAtMs));
    for (const { errand, problem } of unexplained.slice(0, failuresShownMax)) {
      screen.failure(`${errand}: ${problem}`);
    }
    for (const text of this.#ended) screen.failure(text);
    const { length } = unexplained;
    screen.line(
      `${grouped(both(sent))} requests in ${(this.#tookMs / 1000).toFixed(1)} s, ${grouped(length)} failed`,
    );
    const right = findings.every(({ outcome }) => outcome !== "failed");
    return right && length === 0 && both(sent) > 0 && this.#ended.length === 0 ? 0 : 1;
  }

  #findings(): Finding[] {
    const { failures, sent } = this.#shoppers;
    const callers = callersOf(this.#scene.stage);
    // What somebody does to a demo that runs on and on is theirs: nothing is checked that they may have changed.
    if (this.#forMs === null) return [hopsFinding(callers)];
    return [
      hopsFinding(callers),
      policyFinding(callers, this.#strangers.counts),
      lossesFinding({
        killedAtMs: this.#killedAtMs,
        repeatableSent: sent.repeatable,
        onceSent: sent.once,
        failures,
      }),
      ...this.#splits.map(({ split, counts }) => splitFinding(split, counts)),
      changesFinding({ wanted: rehearsal(this.#forMs).length === 0 ? "no" : "yes", ...this.#changes }),
    ];
  }

  async #perform(act: Act): Promise<void> {
    const { screen, stage, parts } = this.#scene;
    screen.event("cyan", act.says);
    if (act.kind === "kill") {
      this.#killedAtMs = parts.clock.now();
      return this.#kill(act.instances);
    }
    const before = await liveVersion(stage.operator);
    if (act.kind === "save") this.#shoppers.split = null;
    await parts.writeFile(stage.documentPath, act.document);
    if (act.kind === "save") await this.#awaitLive(before, act.split);
    if (act.kind === "slip") await this.#awaitRefusal(before);
  }

  async #kill(names: readonly InstanceName[]): Promise<void> {
    const { stage } = this.#scene;
    for (const name of names) stage.sidecars.get(name)?.kill();
    await Promise.all(names.map((name) => stage.store.get(name)?.close()));
  }

  async #awaitLive(before: number | null, split: Split): Promise<void> {
    const { parts, stage, screen } = this.#scene;
    const savedAtMs = parts.clock.now();
    const live = await this.#within(async () => {
      const version = await liveVersion(stage.operator);
      return version !== null && version !== before ? version : null;
    });
    if (live === null) {
      screen.event("red", `not live on every node after ${changeTimeoutMs / 1000} s`);
      return;
    }
    this.#changes.live += 1;
    const tookMs = Math.round(parts.clock.now() - savedAtMs);
    screen.event("green", `version ${live} is live on every node after ${tookMs} ms`);
    await wait(parts.clock, settleMs);
    this.#countSplit(split);
  }

  async #awaitRefusal(before: number | null): Promise<void> {
    const { parts, stage, screen } = this.#scene;
    const problem = await this.#within(async () => {
      const log = await parts.readFile(logPath(parts, "coordinator"));
      const lines = log.split("\n");
      const place = lines.findLastIndex((line) => /^mesh\.yaml:\d+:\d+ /.test(line));
      return place === -1 ? null : `${lines[place]!.split(" ")[0]} ${lines[place + 1]?.trim()}`;
    });
    if (problem === null || (await liveVersion(stage.operator)) !== before) {
      screen.event("red", "the slip was not refused");
      return;
    }
    this.#changes.refused += 1;
    screen.event("yellow", `refused, version ${before} goes on: ${problem}`);
  }

  async #within<Found>(look: () => Promise<Found | null>): Promise<Found | null> {
    const { clock } = this.#scene.parts;
    const deadlineMs = clock.now() + changeTimeoutMs;
    for (;;) {
      const found = await look();
      if (found !== null || clock.now() > deadlineMs) return found;
      await wait(clock, lookEveryMs);
    }
  }

  #countSplit(split: Split): void {
    const counts = new Map<string, number>();
    this.#splits.push({ split, counts });
    this.#shoppers.split = counts;
  }

  /** Whoever watches may end sidecars; without gateway or coordinator there is nothing to watch. */
  #watchProcesses(): void {
    const { stage, parts } = this.#scene;
    for (const name of ["gateway", "coordinator"] as const) {
      void stage[name].ended.then((code) => {
        if (this.#tookMs > 0) return;
        const how = code === null ? "a signal" : `code ${code}`;
        this.#ended.push(`the ${name} ended with ${how}: ${logPath(parts, name)} says why`);
      });
    }
  }
}

function strangersOf({ members }: Stage) {
  const ofInstance = (wanted: InstanceName) => members.find(({ name }) => name === wanted)!;
  const through = (name: InstanceName) => `http://127.0.0.1:${ofInstance(name).upstreams.get("payments")}`;
  return [
    { name: "accounts", url: through("accounts-1") },
    { name: "products", url: through("products-v1") },
    { name: "plain HTTP", url: `http://127.0.0.1:${ofInstance("payments-1").ports.inbound}` },
  ];
}

function callersOf({ members, store }: Stage): CallersByService {
  const all = new Map<string, Map<string, number>>();
  for (const { name, service } of members) {
    const ofService = all.get(service) ?? new Map<string, number>();
    all.set(service, ofService);
    for (const [caller, count] of store.get(name)?.callers.counts ?? []) {
      ofService.set(caller, (ofService.get(caller) ?? 0) + count);
    }
  }
  return all;
}
