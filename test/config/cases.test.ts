/**
 * Each file in cases/ is an input and what comes of it, in sections: `==== NAME` begins a further file of the input,
 * `==== environment` its environment, and then `==== problems` is the whole text that a person sees, or
 * `==== resolved` a part of the resolved config.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { formatProblem, formatSummary } from "../../src/config/problem.ts";
import { load, noPaint } from "./fixture.ts";

const folder = join(import.meta.dir, "cases");

for (const name of readdirSync(folder).toSorted()) {
  test(`loadConfig ${name.replace(/\.txt$/, "").replaceAll("-", " ")}`, async () => {
    const {
      environment = "",
      problems,
      resolved,
      ...texts
    } = sectionsOf(readFileSync(join(folder, name), "utf8"));
    const result = await load(texts, parse(environment) ?? {});
    const shown = [
      ...result.problems.map((problem) => formatProblem(problem, noPaint)),
      formatSummary(result.problems),
    ];
    if (problems !== undefined) {
      expect(shown.join("\n")).toBe(problems.trimEnd());
      expect(result.snapshot).toBeNull();
      expect(result.resolved).toBeNull();
    } else {
      expect(shown).toEqual(["0 problems"]);
      expect(result.resolved).toMatchObject(parse(resolved!));
    }
  });
}

function sectionsOf(text: string): Record<string, string> {
  const [main, ...others] = text.split(/^==== (.*)\n/m);
  const sections: Record<string, string> = { "clearway.yaml": main! };
  for (let index = 0; index < others.length; index += 2) sections[others[index]!] = others[index + 1]!;
  return sections;
}
