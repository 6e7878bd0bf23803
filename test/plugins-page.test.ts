/** docs/plugins.md, step by step, in an empty folder: its files are written, its commands run, and its node says what it shows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { blocksOf, fileOf, missing, type Step, stepsOf, withClearway, writeInto } from "./page.ts";
import { type Running, root, start, until } from "./program.ts";

const page = await readFile(join(root, "docs/plugins.md"), "utf8");
const blocks = blocksOf(page);

/** As the page spells them. */
const portNames = ["8080", "9001", "9002", "9003", "9900", "9901"];

let folder: string;
let ports: number[];
let environment: Record<string, string>;
/** The last one is the one that the page talks of. */
const nodes: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-page-"));
  ports = await freePorts(portNames.length);
  environment = await withClearway(join(folder, "programs"));
  await mkdir(join(folder, "empty"));
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await rm(folder, { recursive: true });
});

test.skipIf(Bun.which("curl") === null)(
  Bun.which("curl") === null
    ? "skipped: needs curl (apt-get install curl)"
    : "docs/plugins.md does what it says",
  async () => {
    for (const { kind, text } of blocks) {
      if (kind === "console") for (const step of stepsOf(text)) await run(step);
      else if (kind === "text")
        await until(
          () => nodes.at(-1)?.output() ?? "",
          (output) => output.includes(text.trim()),
        );
      else await write(text);
    }
    expect(blocks.length).toBeGreaterThan(15);
    const compiler = [process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "."];
    const compiled = start(compiler, { folder: join(folder, "empty") });
    expect({ code: await compiled.ended, output: compiled.output() }).toEqual({ code: 0, output: "" });
  },
  300_000,
);

/** The first line names the file. */
async function write(text: string): Promise<void> {
  const { name, content } = fileOf(text)!;
  // At the end, so that lines keep their numbers.
  const admin = name === "clearway.yaml" ? "admin: 127.0.0.1:9900\n" : "";
  await writeInto(join(folder, "empty"), name, moved(content + admin));
}

async function run({ command, shown }: Step): Promise<void> {
  const place = { folder: join(folder, "empty"), environment };
  const whole = (output: string) => missing(output, shown) === null;
  if (command.endsWith(" &")) {
    const node = start(["sh", "-c", `exec ${command.slice(0, -2)}`], place);
    nodes.push(node);
    await until(node.output, whole);
    return;
  }
  const once = async () => {
    const running = start(["sh", "-c", moved(command)], place);
    await running.ended;
    return running.output();
  };
  // What a node serves follows a save a moment later.
  if (command.startsWith("curl ")) await until(once, whole);
  else {
    const output = await once();
    expect({ command, output, missing: missing(output, shown) }).toEqual({ command, output, missing: null });
  }
}

function moved(text: string): string {
  return portNames.reduce((changed, name, index) => changed.replaceAll(`:${name}`, `:${ports[index]}`), text);
}
