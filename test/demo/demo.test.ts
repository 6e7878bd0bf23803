/** How the demo starts and ends when something does not, with processes that do what a test says. */
import { describe, expect, test } from "bun:test";
import { type DemoParts, type DemoProcess, runDemo } from "../../src/demo/index.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";

interface Plan {
  /** Ends as soon as it is started, with code 1. */
  readonly dies?: string;
  /** When somebody presses Ctrl-C. */
  readonly stopAtMs?: number;
}

interface Outcome {
  readonly code: number;
  readonly lines: readonly string[];
  readonly started: readonly string[];
  readonly running: number;
}

async function play({ dies, stopAtMs }: Plan): Promise<Outcome> {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const started: string[] = [];
  let running = 0;
  let onStop = () => {};
  const start = (_: readonly string[], logPath: string): DemoProcess => {
    const name = logPath.slice(logPath.lastIndexOf("/") + 1, -".log".length);
    started.push(name);
    running += 1;
    const { promise: ended, resolve } = Promise.withResolvers<number | null>();
    let end = (code: number) => {
      running -= 1;
      end = () => {};
      resolve(code);
    };
    if (name === dies) end(1);
    return { pid: started.length, ended, stop: () => end(0), kill: () => end(137) };
  };
  const parts: DemoParts = {
    clock,
    random: new SeededRandom(1),
    terminal: {
      out: (text) => void lines.push(text),
      error: (text) => void lines.push(text),
      interactive: { out: false, error: false },
    },
    paint: (_, text) => text,
    // Nobody is ever ready.
    fetch: () => Promise.resolve(new Response("", { status: 503 })),
    folder: "/demo",
    writeFile: () => Promise.resolve(),
    readFile: () => Promise.resolve(""),
    freePort: (preferred) => Promise.resolve(preferred),
    start,
    operator: () => {
      if (dies === "coordinator") return Promise.reject(new Error("nobody is there"));
      return Promise.resolve({
        get: () => Promise.resolve({} as never),
        post: () => Promise.resolve({ token: "t" } as never),
      });
    },
    onStop(run) {
      onStop = run;
    },
  };
  if (stopAtMs !== undefined) clock.after(stopAtMs, () => onStop());
  let code: number | null = null;
  void runDemo(parts, { forMs: 1000 }).then((result) => {
    code = result;
  });
  while (code === null) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(50);
  }
  return { code, lines, started, running };
}

const lastLine = ({ lines }: Outcome) => lines.at(-1) ?? "";

describe("runDemo", () => {
  test("says which process did not start and where it says why, and leaves none behind", async () => {
    for (const name of ["coordinator", "gateway"]) {
      const outcome = await play({ dies: name });
      expect(outcome.code).toBe(1);
      expect(lastLine(outcome)).toBe(
        `${name} did not start: /demo/${name}.log says why`.replace(/^c/, "the c"),
      );
      expect(outcome.running).toBe(0);
    }
  });

  test("gives up on a mesh that does not become ready", async () => {
    const outcome = await play({});
    expect(outcome.code).toBe(1);
    expect(lastLine(outcome)).toBe("gateway did not start: /demo/gateway.log says why");
    expect(outcome.started).toHaveLength(9);
    expect(outcome.running).toBe(0);
  });

  test("ends at Ctrl-C while it starts", async () => {
    const outcome = await play({ stopAtMs: 200 });
    expect(outcome.code).toBe(0);
    expect(outcome.running).toBe(0);
  });
});
