/** The demo's verdict, with a gateway that does what a test says, and time that passes as fast as it can. */
import { describe, expect, test } from "bun:test";
import { type DemoNode, type DemoOptions, type DemoParts, runDemo } from "../../src/demo/index.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { FakeGateway, type Faults } from "./fake-gateway.ts";

interface Outcome {
  readonly code: number;
  readonly lines: readonly string[];
  readonly config: string;
}

interface Plan extends Faults, Partial<DemoOptions> {
  /** When somebody presses Ctrl-C. */
  readonly stopAtMs?: number;
  /** When the gateway ends by itself, with code 1. */
  readonly gatewayEndsAtMs?: number;
  readonly interactive?: true;
}

async function play(plan: Plan): Promise<Outcome> {
  const clock = new VirtualClock();
  const gateway = new FakeGateway(plan);
  const lines: string[] = [];
  let config = "";
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const node: DemoNode = { ended, stop: () => end(0) };
  let onStop = () => {};
  const parts: DemoParts = {
    clock,
    random: new SeededRandom(1),
    terminal: {
      out: (text) => void lines.push(text),
      error: (text) => void lines.push(text),
      interactive: { out: plan.interactive === true, error: false },
    },
    paint: (style, text) => (plan.interactive === true ? `<${style}>${text}` : text),
    fetch: (url, init) => gateway.fetch(url, init),
    folder: "/demo",
    async writeFile(_, text) {
      if (config !== "") gateway.save(text);
      config = text;
    },
    freePort: (preferred) => Promise.resolve(preferred),
    startNode: () => node,
    onStop(run) {
      onStop = run;
    },
  };
  if (plan.stopAtMs !== undefined) clock.after(plan.stopAtMs, () => onStop());
  if (plan.gatewayEndsAtMs !== undefined) clock.after(plan.gatewayEndsAtMs, () => end(1));
  let code: number | null = null;
  void runDemo(parts, { forMs: plan.forMs ?? null }).then((result) => {
    code = result;
  });
  while (code === null) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5);
  }
  return { code, lines, config };
}

const lastLine = ({ lines }: Outcome) => lines.at(-1) ?? "";

describe("runDemo", () => {
  test("ends by itself with code 0 when every request got its answer", async () => {
    const outcome = await play({ forMs: 8000 });
    expect(lastLine(outcome)).toMatch(/^[\d,]+ requests in 8\.\d s, 0 failed$/);
    expect(outcome.code).toBe(0);
  });

  test("shows a change that became live and a broken file with its line and column", async () => {
    const { lines } = await play({ forMs: 8000 });
    const text = lines.join("\n");
    expect(text).toContain("live as version 2; 0 requests failed");
    expect(text).toMatch(
      /broken file refused, version 2 keeps serving: clearway\.yaml:\d+:13 no service "paymets"/,
    );
    expect(text).toContain("reloads: 2 live, 1 refused");
  });

  test("says each second how many requests there were, on a line of its own without a terminal", async () => {
    const { lines } = await play({ forMs: 5000 });
    const progress = lines.filter((line) => / requests {3}0 failed {3}p50 /.test(line));
    expect(progress.map((line) => line.trim().split(" ")[0])).toEqual(["1", "2", "3", "4"]);
    expect(progress[0]).toContain("products v1 100%");
  });

  test("moves one line in a terminal", async () => {
    const { lines } = await play({ forMs: 5000, interactive: true });
    const progress = lines.filter((line) => line.includes("p99"));
    expect(progress[0]).not.toContain("\u001b[1A");
    expect(progress[1]).toStartWith("\u001b[1A\u001b[2K");
  });

  test("ends with code 1 and names the request when one failed", async () => {
    const outcome = await play({ forMs: 3000, refuseCheckout: 2 });
    expect(outcome.code).toBe(1);
    expect(outcome.lines.join("\n")).toContain(
      "POST /checkout: wanted status 201, got 503 (no-healthy-endpoint)",
    );
    expect(lastLine(outcome)).toEndWith(", 1 failed");
  });

  test("takes an answer without x-request-id for a failed one", async () => {
    const outcome = await play({ forMs: 1000, withoutRequestId: true });
    expect(outcome.code).toBe(1);
    expect(outcome.lines.join("\n")).toContain("the answer has no x-request-id");
  });

  test("ends with code 1 when the broken file was not refused", async () => {
    const outcome = await play({ forMs: 8000, takesAnything: true });
    expect(outcome.code).toBe(1);
    expect(outcome.lines.join("\n")).toContain("the broken config was not refused");
  });

  test("ends with code 1 when the gateway does not start", async () => {
    const outcome = await play({ forMs: 1000, neverReady: true });
    expect(outcome.code).toBe(1);
    expect(lastLine(outcome)).toBe("the gateway did not start: /demo/gateway.log says why");
  });

  test("ends with code 1 when the gateway ends before the demo does", async () => {
    const outcome = await play({ forMs: 60_000, gatewayEndsAtMs: 2000 });
    expect(outcome.code).toBe(1);
    expect(outcome.lines.join("\n")).toContain("the gateway ended with code 1: /demo/gateway.log says why");
  });

  test("without a time it runs until it is stopped, and leaves the config alone", async () => {
    const outcome = await play({ forMs: null, stopAtMs: 30_000 });
    expect(lastLine(outcome)).toMatch(/ requests in 30\.\d s, 0 failed$/);
    expect(outcome.lines.join("\n")).toContain("reloads: 0 live, 0 refused");
    expect(outcome.config).toContain("products-v1: 90, products-v2: 10");
    expect(outcome.code).toBe(0);
  });
});
