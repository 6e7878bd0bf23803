/**
 * Runs every check: types, lint, house rules, each test file in a process of its own, and on Node and on Deno those of
 * test/hosts/suites.ts, two at a time. Shows the
 * output of what fails. A test file that failed is run once more, alone, when all is done: if it passes then, its second
 * run counts, and it is shown as unsteady with what it said first. The last line is `N passed, N failed`; every check
 * and every test counts as one. With CLEARWAY_NO_SKIP=1 a skipped test is a failed one; with CLEARWAY_NO_SECOND_TRY=1
 * nothing is run again.
 */
import pc from "picocolors";
import type { TestReport } from "./junit.ts";
import { root } from "./program.ts";
import { alone, inLanes, laneCount } from "./schedule.ts";
import { check, clearAway, hostTests, type StepResult, tests } from "./step.ts";

interface Step {
  readonly name: string;
  /** Whether it is a test file. */
  readonly repeatable: boolean;
  run(lane: number): Promise<StepResult>;
}

const skipIsFailure = process.env.CLEARWAY_NO_SKIP === "1";
/** Where more files fail, that is not because a machine was busy. */
const secondTriesMax = 5;
const secondTry = process.env.CLEARWAY_NO_SECOND_TRY !== "1";

const houseRules = "test/house-rules.test.ts";
const testFiles = [...new Bun.Glob("{test,plugins}/**/*.test.ts").scanSync({ cwd: root })]
  .filter((path) => path !== houseRules)
  .sort();

function testStep(path: string, name = path): Step {
  return { name, repeatable: true, run: (lane) => tests(path, lane) };
}

function checkStep(name: string, program: string[]): Step {
  return { name, repeatable: false, run: () => check(program) };
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await clearAway();
    process.exit(1);
  });
}

const shared = [
  checkStep("types", ["node_modules/typescript/bin/tsc", "--noEmit"]),
  checkStep("lint", ["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."]),
  testStep(houseRules, "house rules"),
  ...(["Node", "Deno"] as const).map((host) => ({
    name: `codec suites on ${host}`,
    repeatable: true,
    run: (lane: number) => hostTests(host, lane),
  })),
  ...testFiles.filter((path) => !(path in alone)).map((path) => testStep(path)),
];
const results = new Map<Step, StepResult>();
const unsteady: { readonly name: string; readonly first: StepResult }[] = [];

const runAndShow = async (step: Step, lane: number) => {
  const result = await step.run(lane);
  results.set(step, result);
  console.log(line(step.name, result));
  if (result.failed > 0) console.log(result.output);
};
await inLanes(shared, laneCount, runAndShow);
for (const path of testFiles.filter((path) => path in alone)) await runAndShow(testStep(path), 0);

const failures = [...results].filter(([{ repeatable }, { failed }]) => repeatable && failed > 0);
for (const [step, first] of secondTry ? failures.slice(0, secondTriesMax) : []) {
  console.log(`\n${step.name} once more, alone:`);
  await runAndShow(step, 0);
  if (results.get(step)?.failed === 0) unsteady.push({ name: step.name, first });
}
await clearAway();

const skips = [...results].flatMap(([{ name }, { skipped }]) => skipped.map((test) => `${name}: ${test}`));
for (const skip of skips) console.log(`${pc.yellow("skipped")}  ${skip}`);
if (skips.length > 0) console.log(`${skips.length} skipped`);
for (const { name, first } of unsteady) {
  console.log(
    `${pc.yellow("unsteady")} ${name}: ${first.failed} failed at first, none when run again, alone`,
  );
  console.log(`What it said first:\n${first.output}`);
}
if (unsteady.length > 0)
  console.log(`${unsteady.length} unsteady: ${unsteady.map(({ name }) => name).join(", ")}`);
const failed = sum("failed") + (skipIsFailure ? skips.length : 0);
console.log(`${sum("passed")} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function sum(of: "passed" | "failed"): number {
  return [...results.values()].reduce((total, result) => total + result[of], 0);
}

function line(name: string, report: TestReport & { readonly durationMs: number }): string {
  const mark = report.failed > 0 ? pc.red("fail") : pc.green("ok  ");
  const counts = [
    `${report.passed} passed`,
    ...(report.failed > 0 ? [pc.red(`${report.failed} failed`)] : []),
    ...(report.skipped.length > 0 ? [pc.yellow(`${report.skipped.length} skipped`)] : []),
  ].join(", ");
  const seconds = pc.dim(`${(report.durationMs / 1000).toFixed(1)} s`);
  return `${mark} ${name.padEnd(44)} ${counts.padEnd(24)} ${seconds}`;
}
