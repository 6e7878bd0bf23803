/** One check as a process of its own: a program that says by its exit code whether all is well, or a test file. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostName, hostPrograms, missingHost } from "./hosts/programs.ts";
import { bundleSuites } from "./hosts/suites.ts";
import { readReport, type TestReport } from "./junit.ts";
import { root } from "./program.ts";

export interface StepResult extends TestReport {
  readonly output: string;
  readonly durationMs: number;
}

/** A step that is not done by then is ended and counted as one failure. */
const stepTimeoutMs = 240_000;

/** What tests must not inherit: whether text is coloured, and by which way a request leaves. */
const unset = Object.fromEntries(
  ["FORCE_COLOR", "NO_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
    [name, undefined],
    [name.toLowerCase(), undefined],
  ]),
);

/** For the reports, and for what tests leave behind: gone at the end. */
const scratch = await mkdtemp(join(tmpdir(), "clearway-test-"));
const running = new Set<number>();

/** A program, run by this same bun, that says by its exit code whether all is well: it counts as one. */
export async function check(program: string[]): Promise<StepResult> {
  const { code, ...rest } = await spawn([process.execPath, ...program], { lane: 0 });
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [], ...rest };
}

/** `lane`: tells the ports of files that run at the same time apart (test/free-ports.ts). */
export function tests(path: string, lane: number): Promise<StepResult> {
  const xml = join(scratch, `${path.replaceAll("/", "-")}.xml`);
  const command = [process.execPath, "test", "--reporter=junit", `--reporter-outfile=${xml}`, `./${path}`];
  return reported({ name: path, command, xml }, { lane });
}

/** The suites of test/hosts/suites.ts, on another host. */
export async function hostTests(host: HostName, lane: number): Promise<StepResult> {
  const missing = missingHost(host);
  if (missing !== null) return { passed: 0, failed: 0, skipped: [missing], output: "", durationMs: 0 };
  const xml = join(scratch, `${host}.xml`);
  const command = hostPrograms[host].test(await bundleSuites(host, scratch), xml);
  // Not in the project: Deno would read its deno.json.
  return reported({ name: `the suites on ${host}`, command, xml }, { lane, folder: scratch });
}

interface Reported {
  readonly name: string;
  readonly command: readonly string[];
  /** Where the command writes its report. */
  readonly xml: string;
}

/** What fails to load, hangs or runs no test counts as one failure, whatever its report says. */
async function reported({ name, command, xml }: Reported, place: Place): Promise<StepResult> {
  await rm(xml, { force: true });
  const { code, output, durationMs } = await spawn(command, place);
  const report = readReport(await readFile(xml, "utf8").catch(() => ""));
  const silent = report.passed + report.failed + report.skipped.length === 0;
  const failed = report.failed === 0 && (code !== 0 || silent) ? 1 : report.failed;
  return { ...report, failed, output: silent ? `${output}\n${name} ran no test` : output, durationMs };
}

/** Ends what still runs, and takes away what was left behind. */
export async function clearAway(): Promise<void> {
  for (const pid of running) endGroup(pid);
  await rm(scratch, { recursive: true, force: true });
}

interface Place {
  readonly lane: number;
  readonly folder?: string;
}

async function spawn(command: readonly string[], { lane, folder = root }: Place) {
  const startMs = performance.now();
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: { ...process.env, ...unset, TMPDIR: scratch, CLEARWAY_TEST_LANE: String(lane) },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: what a test leaves running ends with it, and takes no time from the others.
    detached: true,
  });
  running.add(child.pid);
  let late = "";
  const timer = setTimeout(() => {
    late = `\nended after ${stepTimeoutMs / 1000} s, the limit`;
    endGroup(child.pid);
  }, stepTimeoutMs);
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  clearTimeout(timer);
  endGroup(child.pid);
  running.delete(child.pid);
  const [out, errors] = await texts;
  const passes = /^\S*\(pass\).*\n/gm;
  const output = `${out}${errors.replace(passes, "")}${late}`;
  return { code, output, durationMs: performance.now() - startMs };
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended, with all its children.
  }
}
