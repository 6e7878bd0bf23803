/** A plugin that runs as its earlier version, as a problem of the config. */
import type { Problem, Snapshot } from "../../snapshot.ts";
import { firstEntry } from "../filter-view.ts";
import { rollbackText } from "./plugin-guard.ts";
import type { Rollback } from "./plugin-versions.ts";

const hints = ["mend its file and save it; saving the config alone does not bring the newer version back"];

export function rollbackProblems(live: Snapshot | null, rollbacks: readonly Rollback[]): Problem[] {
  return rollbacks.flatMap((rollback) => {
    const place = live === null ? undefined : firstEntry(live, rollback.plugin)?.place;
    if (place === undefined) return [];
    return [{ ...place, column: 1, path: "", message: rollbackText(rollback), hints, excerpt: null }];
  });
}

/** For a config that workers refuse: it was checked with the newest versions, and may not suit those that serve. */
export function rollbackHints(rollbacks: readonly Rollback[]): string[] {
  return rollbacks.map(
    ({ plugin, serves, heldOff }) =>
      `${plugin} runs as its version ${serves}, because ${heldOff} is held off: mend and save its file, or write options that suit ${serves}`,
  );
}
