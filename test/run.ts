/**
 * Runs every check, one after the other: types, lint, house rules, then each test file in a process of its own.
 * Shows the output of what fails. The last line is `N passed, N failed`; every check and every test counts as one.
 * With CLEARWAY_NO_SKIP=1 a skipped test is a failed one.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { readReport, type TestReport } from "./junit.ts";

interface Step {
  readonly name: string;
  run(): Promise<TestReport & { output: string }>;
}

const root = new URL("..", import.meta.url).pathname;
/** For the reports, and for what tests leave behind: gone at the end. */
const scratch = await mkdtemp(join(tmpdir(), "clearway-test-"));
const skipIsFailure = process.env.CLEARWAY_NO_SKIP === "1";
/** A file that is not done by then is ended and counted as one failure. */
const stepTimeoutMs = 180_000;

const houseRules = "test/house-rules.test.ts";
const testFiles = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: root })]
  .filter((path) => path !== houseRules)
  .sort();

const steps: Step[] = [
  { name: "types", run: () => check(["node_modules/typescript/bin/tsc", "--noEmit"]) },
  {
    name: "lint",
    run: () => check(["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."]),
  },
  { name: "house rules", run: () => tests(houseRules) },
  ...testFiles.map((path) => ({ name: path, run: () => tests(path) })),
];

const total = { passed: 0, failed: 0, skipped: [] as string[] };
for (const step of steps) {
  const startMs = performance.now();
  const result = await step.run();
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped.push(...result.skipped.map((name) => `${step.name}: ${name}`));
  console.log(line(step.name, result, performance.now() - startMs));
  if (result.failed > 0) console.log(result.output);
}
await rm(scratch, { recursive: true });

for (const skipped of total.skipped) console.log(`${pc.yellow("skipped")}  ${skipped}`);
if (total.skipped.length > 0) console.log(`${total.skipped.length} skipped`);
const failed = total.failed + (skipIsFailure ? total.skipped.length : 0);
console.log(`${total.passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** A program that says by its exit code whether all is well: it counts as one. */
async function check(program: string[]): Promise<TestReport & { output: string }> {
  const { code, output } = await spawn(program);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [], output };
}

/** A file that fails to load, hangs or runs no test counts as one failure, whatever its report says. */
async function tests(path: string): Promise<TestReport & { output: string }> {
  const xml = join(scratch, `${path.replaceAll("/", "-")}.xml`);
  const { code, output } = await spawn([
    "test",
    "--reporter=junit",
    `--reporter-outfile=${xml}`,
    `./${path}`,
  ]);
  const report = readReport(await readFile(xml, "utf8").catch(() => ""));
  const silent = report.passed + report.failed + report.skipped.length === 0;
  const failed = report.failed === 0 && (code !== 0 || silent) ? 1 : report.failed;
  return { ...report, failed, output: silent ? `${output}\n${path} ran no test` : output };
}

/** Runs this same bun, so that nothing else on the machine's path matters. */
async function spawn(args: string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: scratch, FORCE_COLOR: pc.isColorSupported ? "1" : "0" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: stepTimeoutMs,
    killSignal: "SIGKILL",
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const ended =
    child.signalCode === null ? "" : `\nended by ${child.signalCode} (limit ${stepTimeoutMs / 1000} s)`;
  const passes = /^\S*\(pass\).*\n/gm;
  return { code, output: `${out}${errors.replace(passes, "")}${ended}` };
}

function line(name: string, report: TestReport, durationMs: number): string {
  const mark = report.failed > 0 ? pc.red("fail") : pc.green("ok  ");
  const counts = [
    `${report.passed} passed`,
    ...(report.failed > 0 ? [pc.red(`${report.failed} failed`)] : []),
    ...(report.skipped.length > 0 ? [pc.yellow(`${report.skipped.length} skipped`)] : []),
  ].join(", ");
  return `${mark} ${name.padEnd(44)} ${counts.padEnd(24)} ${pc.dim(`${(durationMs / 1000).toFixed(1)} s`)}`;
}
