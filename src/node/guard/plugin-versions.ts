/**
 * Which version of each plugin serves, which ones served well before it, and which one is held off because it did
 * harm: that one does not come back before its file is saved again.
 */
import type { PluginCode } from "../../filter-lookup.ts";
import type { Snapshot } from "../../snapshot.ts";

/** Earlier versions of one plugin that are kept, each with its code. */
const formersMax = 3;
/** Plugins whose file no config names any more, kept because a version of them is held off. */
const unusedMax = 64;

export type RollbackCause = "errors" | "hang" | "memory";

export interface Rollback {
  /** The plugin's name in the config. */
  readonly plugin: string;
  readonly cause: RollbackCause;
  /** What was seen, with figures. */
  readonly why: string;
  /** The version that is held off, and the one that runs instead. */
  readonly heldOff: string;
  readonly serves: string;
  readonly sinceEpochMs: number;
}

/** What serves now, as the rest of the guard sees it. */
export interface ServingPlugin {
  readonly name: string;
  readonly version: string;
  /** Clock time from which on this version served. */
  readonly sinceMs: number;
  /** Whether it came by a change: not with the node's start, and not by a rollback. */
  readonly changed: "yes" | "no";
  /** The one that ran before it, and would again; null when there is none. */
  readonly former: string | null;
}

interface History {
  readonly serving: PluginCode;
  readonly sinceMs: number;
  readonly changed: "yes" | "no";
  /** Whether it did harm, with nothing to go back to. */
  readonly blamed: "yes" | "no";
  /** Newest first. */
  readonly formers: readonly PluginCode[];
  readonly rollback: Rollback | null;
}

export class PluginVersions {
  readonly #histories = new Map<string, History>();
  #started = false;
  readonly #forgotten: (plugin: string, version: string) => void;

  /** `forgotten` is told which code no worker will run again. */
  constructor(forgotten: (plugin: string, version: string) => void) {
    this.#forgotten = forgotten;
  }

  /** The config as it may run: what is held off is replaced by what serves instead. */
  settle(checked: Snapshot): Snapshot {
    const plugins = checked.plugins.map((code) => {
      const history = this.#histories.get(code.name);
      return history?.rollback?.heldOff === code.version ? history.serving : code;
    });
    return plugins.every((code, at) => code === checked.plugins[at]) ? checked : { ...checked, plugins };
  }

  /** `checked` is what the config wanted, before `settle`; it is live now. Returns the plugins that changed. */
  live(checked: Snapshot, nowMs: number): readonly string[] {
    const changed = checked.plugins.filter((code) => {
      const known = this.#histories.get(code.name);
      return known?.rollback?.heldOff !== code.version && this.#serve(code, known ?? null, nowMs);
    });
    this.#started = true;
    this.#dropUnused(checked);
    return changed.map(({ name }) => name);
  }

  #dropUnused(checked: Snapshot): void {
    const named = new Set(checked.plugins.map(({ name }) => name));
    const unused = [...this.#histories].filter(([name]) => !named.has(name));
    const dropped = unused.filter(
      ([, { rollback }], at) => rollback === null || at < unused.length - unusedMax,
    );
    for (const [name, { serving, formers }] of dropped) {
      this.#histories.delete(name);
      for (const { version } of [serving, ...formers]) this.#forgotten(name, version);
    }
  }

  /** Whether it is another version than before. */
  #serve(code: PluginCode, known: History | null, nowMs: number): boolean {
    if (known?.serving.version === code.version) {
      this.#histories.set(code.name, { ...known, serving: code, rollback: null });
      if (known.rollback !== null) this.#forgotten(code.name, known.rollback.heldOff);
      return false;
    }
    const before = known === null ? [] : [...(isKept(known) ? [known.serving] : []), ...known.formers];
    const earlier = before.filter(({ version }) => version !== code.version);
    const formers = earlier.slice(0, formersMax);
    const changed = this.#started ? "yes" : "no";
    const now = { serving: code, sinceMs: nowMs, changed, blamed: "no", formers, rollback: null } as const;
    this.#histories.set(code.name, now);
    const gone = [...earlier.slice(formersMax).map(({ version }) => version)];
    if (known !== null && !isKept(known)) gone.push(known.serving.version);
    if (known?.rollback != null) gone.push(known.rollback.heldOff);
    for (const version of gone) if (version !== code.version) this.#forgotten(code.name, version);
    return true;
  }

  get serving(): readonly ServingPlugin[] {
    return [...this.#histories].map(([name, { serving, sinceMs, changed, formers }]) => ({
      name,
      version: serving.version,
      sinceMs,
      changed,
      former: formers[0]?.version ?? null,
    }));
  }

  /** Every version that is kept or held off: one of these may run in a worker still. */
  get known(): readonly { readonly name: string; readonly version: string }[] {
    return [...this.#histories].flatMap(([name, { serving, formers, rollback }]) => {
      const versions = [serving, ...formers].map(({ version }) => version);
      return [...versions, ...(rollback === null ? [] : [rollback.heldOff])].map((version) => ({
        name,
        version,
      }));
    });
  }

  get rollbacks(): readonly Rollback[] {
    return [...this.#histories.values()].flatMap(({ rollback }) => rollback ?? []);
  }

  /**
   * From now on the plugin's former version serves, in the snapshot that is returned. Null when there is none: then
   * the version that serves is not gone back to later. `undo` is for when no worker could make that live.
   */
  rollBack(
    live: Snapshot,
    facts: Pick<Rollback, "plugin" | "cause" | "why" | "sinceEpochMs"> & { readonly nowMs: number },
  ): { readonly snapshot: Snapshot; readonly rollback: Rollback; undo(): void } | null {
    const { nowMs, ...said } = facts;
    const history = this.#histories.get(said.plugin);
    if (history === undefined) return null;
    const [former, ...formers] = history.formers;
    const blamed = { ...history, blamed: "yes" } as const;
    this.#histories.set(said.plugin, blamed);
    if (former === undefined) return null;
    const { version } = history.serving;
    // When the version that was gone back to does harm too, it is still the newest one that is held off.
    const heldOff = history.rollback?.heldOff ?? version;
    const rollback = { ...said, heldOff, serves: former.version };
    this.#histories.set(said.plugin, {
      serving: former,
      sinceMs: nowMs,
      changed: "no",
      blamed: "no",
      formers,
      rollback,
    });
    const plugins = live.plugins.map((code) => (code.name === said.plugin ? former : code));
    const undo = () => void this.#histories.set(said.plugin, { ...blamed, formers: [] });
    return { snapshot: { ...live, plugins }, rollback, undo };
  }
}

/** A version that did harm is nothing to go back to, nor is a file of which only the newest text is there. */
function isKept({ blamed, serving }: History): boolean {
  return blamed === "no" && serving.source.kind === "bundle";
}
