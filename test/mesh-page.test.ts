/** docs/mesh.md, step by step, in an empty folder: a mesh of real processes that does what the page shows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { blocksOf, fileOf, missing, type Step, stepsOf, withClearway, writeInto } from "./page.ts";
import { type Running, root, start, until } from "./program.ts";

const page = await readFile(join(root, "docs/mesh.md"), "utf8");

/** As the page spells them. */
const portNames = "9800 4140 4143 8080 9001 9002 9003 9011 9101 9102 9900".split(" ");

/** What changes nothing, and may show something only a moment later; a count has to be right the first time. */
const repeatable = /^(curl |for .*\| sort$|cat |grep |clearway (get|diff) )/;

let folder: string;
let ports: number[];
let environment: Record<string, string>;
/** In the order in which the page starts them, which is how a shell numbers them. */
const jobs: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-mesh-page-"));
  ports = await freePorts(portNames.length);
  environment = await withClearway(join(folder, "programs"));
  await mkdir(join(folder, "empty"));
});
afterAll(async () => {
  // The coordinator, which is the first, last: sidecars leave the registry as they end.
  const [coordinator, ...others] = jobs;
  await Promise.all(others.map((job) => job.stop()));
  await coordinator?.stop();
  await rm(folder, { recursive: true });
});

const needed = ["curl", "node"].filter((name) => Bun.which(name) === null);

test.skipIf(needed.length > 0)(
  needed.length > 0
    ? `skipped: needs ${needed.join(", ")} (apt-get install curl nodejs)`
    : "docs/mesh.md does what it says",
  async () => {
    const blocks = blocksOf(page);
    for (const { kind, text } of blocks) {
      const file = fileOf(text);
      if (kind === "console") for (const step of stepsOf(text)) await run(step);
      else if (file !== null) await writeInto(join(folder, "empty"), file.name, moved(file.content));
    }
    expect(blocks.length).toBeGreaterThan(15);
    expect(jobs.length).toBeGreaterThan(5);
  },
  140_000,
);

async function run({ command, shown }: Step): Promise<void> {
  const place = { folder: join(folder, "empty"), environment };
  if (command.endsWith(" &")) {
    jobs.push(start(["sh", "-c", `exec ${moved(command.slice(0, -2))}`], place));
    return;
  }
  const [, signal = "TERM", job] = /^kill (?:-(\w+) )?%(\d+)$/.exec(command) ?? [];
  if (job !== undefined) {
    const killed = jobs[Number(job) - 1]!;
    process.kill(killed.pid, `SIG${signal}`);
    await killed.ended;
    return;
  }
  const wanted = shown.map(moved);
  const once = async () => {
    const running = start(["sh", "-c", moved(command)], place);
    await running.ended;
    return running.output();
  };
  if (repeatable.test(command)) {
    await until(
      async () => ({ command, output: await once() }),
      ({ output }) => missing(output, wanted) === null,
    );
    return;
  }
  const output = await once();
  expect({ command, output, missing: missing(output, wanted) }).toEqual({ command, output, missing: null });
}

function moved(text: string): string {
  return portNames.reduce(
    (changed, name, index) => changed.replaceAll(new RegExp(`\\b${name}\\b`, "g"), String(ports[index])),
    placed(text),
  );
}

/** The page leaves out what is so without saying it; here the coordinator is elsewhere. */
function placed(command: string): string {
  return command
    .replace(/^clearway coordinator /, "$&--bind 127.0.0.1:9800 ")
    .replace(/^clearway (token create|apply|get|diff|rollback) /, "$&--coordinator https://127.0.0.1:9800 ");
}
