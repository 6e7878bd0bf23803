import { expect, test } from "bun:test";
import { markedMiddleware, markedUpstream } from "../../src/runtime/filter-mark.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import type { Call, Middleware, UpstreamFilter } from "../../src/types.ts";
import { SeededRandom } from "../seeded-random.ts";
import { makeFilter, testParts } from "./filter-parts.ts";

const name = "./own.ts";

function bench() {
  const memory = new NodeMemory(privateMemory(), new SeededRandom(1));
  const share = memory.share(0);
  const seen = () => memory.filterOf(0, [{ name, version: "c0de" }])?.state ?? "nobody";
  return { share, seen, mark: share.filterMark(name, "c0de") };
}

type Context = Parameters<Middleware>[0];

test("markedMiddleware says that the filter runs until it waits, and that it ran last once what is inside answered", async () => {
  const { seen, mark } = bench();
  const states: string[] = [];
  const own: Middleware = async (_, next) => {
    states.push(seen());
    await next();
    states.push(seen());
  };
  const running = markedMiddleware(own, mark)({} as Context, async () => {
    states.push(seen());
    await Promise.resolve();
    states.push(seen());
  });
  states.push(seen());
  await running;
  expect(states).toEqual(["running", "running", "left", "left", "left"]);
});

test("markedMiddleware says so also of a filter that throws", () => {
  const { seen, mark } = bench();
  const own: Middleware = () => {
    throw new Error("boom");
  };
  expect(() => markedMiddleware(own, mark)({} as Context, async () => {})).toThrow("boom");
  expect(seen()).toBe("left");
});

test("markedUpstream says that the filter runs until it waits, and that it ran last once its sending failed", async () => {
  const { seen, mark, share } = bench();
  const other = share.filterMark("./other.ts", "1");
  const states: string[] = [];
  const own: UpstreamFilter = async (_, send) => {
    states.push(seen());
    await send().catch(() => states.push(seen()));
    return new Response();
  };
  const answered = markedUpstream(own, mark)({} as Call, async () => {
    await Promise.resolve();
    other.leave(other.enter());
    states.push(seen());
    throw new Error("reset");
  });
  await answered;
  expect(states).toEqual(["running", "nobody", "left"]);
});

test("only a filter with code of its own is marked", () => {
  const { share, seen } = bench();
  const states: string[] = [];
  const own = { middleware: () => async () => void states.push(seen()) };
  for (const draft of [{}, { version: "c0de" }]) {
    const { middleware } = makeFilter(name, own, testParts({ share }), draft);
    middleware!({} as Context, async () => {});
  }
  expect(states).toEqual(["nobody", "running"]);
});
