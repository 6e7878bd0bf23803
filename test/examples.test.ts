/** Every example, run as its README says, and what some of them promise beyond that. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePorts, ExampleRun, examples } from "./example.ts";
import { missingHost } from "./hosts/programs.ts";
import { programOn } from "./hosts/running.ts";
import { runMeshExample } from "./mesh-example.ts";
import { root, until } from "./program.ts";

const curl = Bun.which("curl");

let run = new ExampleRun(null);
afterEach(() => run.stop());

// In one file, and so one after the other: some write files beside their configs.
for (const host of ["Bun", "Node", "Deno"] as const) {
  const needsCurl = curl === null ? "skipped: needs curl (apt-get install curl)" : null;
  const missing = needsCurl ?? (host === "Bun" ? null : missingHost(host));
  describe.skipIf(missing !== null)(`${missing ?? "examples"}, ${host}`, () => {
    beforeAll(async () => {
      run = new ExampleRun(host === "Bun" ? null : await programOn(host));
    });
    afterAll(() => {
      run = new ExampleRun(null);
    });

    for (const example of examples) {
      if (example.includes("mesh")) continue;
      test(`${example} does what its README says`, () => run.all(example));
    }
  });
}

// Coordinator and sidecars are Bun's.
const missing = curl === null ? "skipped: needs curl (apt-get install curl)" : null;
describe.skipIf(missing !== null)(missing ?? "examples of a mesh", () => {
  for (const example of examples.filter((name) => name.includes("mesh"))) {
    test(`${example} does what its README says`, () => runMeshExample(example), 60_000);
  }
});

describe("examples", () => {
  test("are numbered from 01 without a gap", () => {
    expect(examples.map((name) => name.slice(0, 2))).toEqual(
      examples.map((_, index) => String(index + 1).padStart(2, "0")),
    );
  });

  test("03-split sends about a tenth to green, and takes turns", async () => {
    const ports = await choosePorts();
    await run.service("npx bun examples/01-hello/service.ts blue 9001", ports);
    await run.service("npx bun examples/01-hello/service.ts green 9002", ports);
    await run.gateway("examples/03-split/clearway.yaml", ports);
    const askFor = async (path: string, count: number) => {
      const answers = await Promise.all(
        Array.from({ length: count }, async () => (await fetch(ports.url(path))).text()),
      );
      return answers.filter((answer) => answer.startsWith("green")).length;
    };
    // Of 400 at 10 %: outside 10 to 80 once in a billion runs.
    const greens = await askFor("/split/", 400);
    expect(greens).toBeGreaterThan(10);
    expect(greens).toBeLessThan(80);
    expect(await askFor("/turns/", 40)).toBe(20);
  });

  test("06-balancing keeps to its zone, to a caller's cookie, and away from who is not there", async () => {
    const ports = await choosePorts();
    await run.service("npx bun examples/01-hello/service.ts blue 9001", ports);
    await run.service("npx bun examples/01-hello/service.ts green 9002", ports);
    await run.gateway("examples/06-balancing/clearway.yaml", ports);
    const ask = async (path: string, cookie = "") => {
      const answer = await fetch(ports.url(path), { headers: { cookie } });
      const [name = ""] = (await answer.text()).split(" ");
      return { name, cookie: answer.headers.get("set-cookie") };
    };
    for (let time = 0; time < 10; time += 1) expect((await ask("/near/")).name).toBe("blue");
    const services = new Set<string>();
    for (let caller = 0; caller < 20; caller += 1) {
      const first = await ask("/sticky/");
      const [pair = ""] = first.cookie!.split(";");
      services.add(first.name);
      for (let time = 0; time < 3; time += 1)
        expect(await ask("/sticky/", pair)).toEqual({ name: first.name, cookie: null });
    }
    expect(services.size).toBe(2);
    for (let time = 0; time < 12; time += 1) expect((await ask("/careful/")).name).toMatch(/blue|green/);
    const metrics = await (await fetch(ports.adminUrl("/metrics"))).text();
    expect(metrics).toContain('clearway_service_endpoints{service="careful",state="ejected"} 1');
    const snapshot = (await (await fetch(ports.adminUrl("/snapshot"))).json()) as SnapshotShown;
    const [gone, blue] = snapshot.services.find(({ name }) => name === "careful")!.endpoints;
    expect(gone).toMatchObject({ health: "healthy", weight: 1, weightInEffect: 0 });
    expect(Date.parse(gone!.ejectedUntil ?? "")).toBeGreaterThan(Date.now());
    expect(blue).toMatchObject({ ejectedUntil: null, weightInEffect: 1 });
  });

  test("04-reload changes while requests flow, and a mistake changes nothing", async () => {
    const ports = await choosePorts();
    const folder = await mkdtemp(join(tmpdir(), "clearway-example-"));
    try {
      const config = join(folder, "clearway.yaml");
      await copyFile(join(root, "examples/04-reload/clearway.yaml"), config);
      await run.gateway(config, ports);
      const traffic = keepAsking(ports.url("/"));
      const one = await readFile(config, "utf8");
      expect(await traffic.next()).toBe("version one\n");

      await save(config, one.replace("version one", "version two"));
      await until(traffic.next, (answer) => answer === "version two\n");

      await save(config, one.replace("path", "pth"));
      const shown = await until(
        async () => (await fetch(ports.adminUrl("/problems"))).text(),
        (text) => text.includes("pth"),
      );
      const [problem] = (JSON.parse(shown) as { problems: { line: number; column: number }[] }).problems;
      expect(problem).toMatchObject({ line: 8, column: 18 });
      expect(await traffic.next()).toBe("version two\n");

      const { failures, count } = await traffic.stop();
      expect(failures).toEqual([]);
      expect(count).toBeGreaterThan(10);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

interface SnapshotShown {
  readonly services: readonly {
    readonly name: string;
    readonly endpoints: readonly { readonly ejectedUntil: string | null }[];
  }[];
}

/** Replaces the file as an editor does. */
async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

/** Asks one request after the other until it is stopped; `next` is an answer to one that began after the call. */
function keepAsking(url: string) {
  const failures: string[] = [];
  let count = 0;
  let stopped = false;
  let waiting: ((answer: string) => void)[] = [];
  const done = (async () => {
    while (!stopped) {
      const wait = waiting;
      waiting = [];
      const answer = await fetch(url).then(
        async (response) => `${response.ok ? "" : `${response.status} `}${await response.text()}`,
        (error: unknown) => String(error),
      );
      count += 1;
      if (!answer.startsWith("version ")) failures.push(answer);
      for (const resolve of wait) resolve(answer);
    }
  })();
  return {
    next: () => new Promise<string>((resolve) => waiting.push(resolve)),
    async stop() {
      stopped = true;
      await done;
      return { failures, count };
    },
  };
}
