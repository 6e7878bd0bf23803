/**
 * Users' filters are tried where their config is checked: in a process that somebody else can end. Before their code
 * runs, that one is told what to say if it never comes back.
 */

import type { CodeToRead } from "../filter-lookup.ts";
import type { CodeFault } from "../machine.ts";
import type { ProblemSpot, TrialStep, TrialWork } from "../snapshot.ts";
import type { FilterDefinition } from "../types.ts";
import { type FilterNames, isForeign, type NamePlace } from "./filter-names.ts";
import { pathName } from "./problem.ts";
import { excerptOf } from "./source.ts";

export interface FilterTrial {
  /** Resolves when the step is known to whoever can end it. */
  begin(step: TrialStep): Promise<void>;
  /** Resolves when what the code left undone had its turn. */
  end(): Promise<void>;
  /** The same inside a synchronous check. */
  beginNow(step: TrialStep): void;
  endNow(): void;
  /** Creates the filter once and lets go of it; null, or what is wrong. */
  create(definition: FilterDefinition, options: unknown): CodeFault | null;
}

export function stepAt(work: TrialWork, name: string, { range, path }: NamePlace): TrialStep {
  const { line, column } = range.file.position(range.start);
  const at: ProblemSpot = {
    file: range.file.name,
    ...{ line, column },
    path: pathName(path),
    excerpt: excerptOf(range),
  };
  return { work, name, at };
}

export function aroundWork(names: FilterNames, trial: FilterTrial | null): CodeToRead["around"] {
  return async (work, name, run) => {
    const place = names.get(name);
    if (trial === null || place === undefined) return run();
    await trial.begin(stepAt(work, name, place));
    try {
      return await run();
    } finally {
      await trial.end();
    }
  };
}

/**
 * The check is one synchronous piece, and not every host sends what it is told in the middle of one: what is known
 * before it begins is its first filter.
 */
export async function aroundCheck<Result>(
  names: FilterNames,
  trial: FilterTrial | null,
  check: () => Result,
): Promise<Result> {
  const first = [...names].find(([name]) => isForeign(name));
  if (trial === null || first === undefined) return check();
  await trial.begin(stepAt("checking", ...first));
  try {
    return check();
  } finally {
    await trial.end();
  }
}
