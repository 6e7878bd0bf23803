/**
 * Each file of a folder of cases is an input and what comes of it, in sections: `==== NAME` begins a further file of the
 * input, `==== environment` its environment, and then `==== problems` is the whole text that a person sees, or
 * `==== resolved` a part of the resolved config.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { LoadResult } from "../../src/config/load.ts";
import { formatProblem, formatSummary } from "../../src/config/problem.ts";
import { noPaint, type Texts } from "./fixture.ts";

export interface CaseFiles {
  readonly folder: string;
  /** In front of the names of the tests. */
  readonly subject: string;
  /** What a case begins with. */
  readonly mainFile: string;
  load(texts: Texts, environment: Readonly<Record<string, string>>): Promise<LoadResult>;
}

export function testCases({ folder, subject, mainFile, load }: CaseFiles): void {
  for (const name of readdirSync(folder).toSorted()) {
    test(`${subject} ${name.replace(/\.txt$/, "").replaceAll("-", " ")}`, async () => {
      const sections = sectionsOf(readFileSync(join(folder, name), "utf8"), mainFile);
      const { environment = "", problems, resolved, ...texts } = sections;
      const result = await load(texts, parse(environment) ?? {});
      const shown = [
        ...result.problems.map((problem) => formatProblem(problem, noPaint)),
        formatSummary(result.problems),
      ];
      if (problems !== undefined) {
        expect(shown.join("\n")).toBe(problems.trimEnd());
        expect(result).toMatchObject({ snapshot: null, document: null, resolved: null });
      } else {
        expect(shown).toEqual(["0 problems"]);
        expect(result.resolved).toMatchObject(parse(resolved!));
      }
    });
  }
}

function sectionsOf(text: string, mainFile: string): Record<string, string> {
  const [main, ...others] = text.split(/^==== (.*)\n/m);
  const sections: Record<string, string> = { [mainFile]: main! };
  for (let index = 0; index < others.length; index += 2) sections[others[index]!] = others[index + 1]!;
  return sections;
}
