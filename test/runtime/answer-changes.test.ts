/** `c.env.onAnswer`: whatever filters stand around one another, it does what code behind `await next()` does. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Middleware } from "../../src/types.ts";
import { usesApp } from "./chain-app.ts";
import { type App, onLightPair } from "./fetch/both-pairs.ts";

const ways = ["await", "ask", "ask later", "then"] as const;
const deeds = ["go on", "go on", "go on", "refuse", "throw before", "throw after", "answer anew"] as const;

/** When it answers. */
const services = ["at once", "later"] as const;
type Service = (typeof services)[number];

interface Drawn {
  readonly way: (typeof ways)[number];
  readonly deed: (typeof deeds)[number];
}

/** What a filter does on the way in: an answer where it goes no further. */
function before(c: Parameters<Middleware>[0], deed: Drawn["deed"], place: number): Response | null {
  if (deed === "throw before") throw new Error(`filter ${place} before`);
  c.set(`filter ${place}`, true);
  return deed === "refuse" ? new Response("no", { status: 403 }) : null;
}

function after(c: Parameters<Middleware>[0], deed: Drawn["deed"], place: number): void {
  if (deed === "throw after") throw new Error(`filter ${place} after`);
  if (deed === "answer anew") c.res = new Response("anew", { status: 201, headers: c.res.headers });
  c.res.headers.append("x-way", String(place));
}

function filterOf({ way, deed }: Drawn, place: number, seen: string[]): Middleware {
  const out = (c: Parameters<Middleware>[0]) => {
    seen.push(`${place} out ${c.res.status} ${c.res.headers.get("x-way")}`);
    after(c, deed, place);
  };
  const asking: Middleware = (c, next) => {
    seen.push(`${place} in`);
    const answer = before(c, deed, place);
    if (answer !== null) return Promise.resolve(answer);
    c.env.onAnswer((answer) => {
      expect(answer).toBe(c.res);
      out(c);
    });
    return next();
  };
  switch (way) {
    case "ask":
      return asking;
    case "ask later":
      return async (c, next) => {
        await new Promise((resolve) => setTimeout(resolve, 0));
        return asking(c, next);
      };
    case "then":
      return (c, next) => {
        seen.push(`${place} in`);
        const answer = before(c, deed, place);
        return answer === null ? next().then(() => out(c)) : Promise.resolve(answer);
      };
    default:
      return async (c, next) => {
        seen.push(`${place} in`);
        const answer = before(c, deed, place);
        if (answer !== null) return answer;
        await next();
        out(c);
      };
  }
}

async function runOf(filters: readonly Drawn[], service: Service) {
  const seen: string[] = [];
  const app = usesApp(filters.map((drawn, place) => filterOf(drawn, place, seen) as never));
  return { seen, wires: await callTwice(app, service) };
}

/** The first call of a filter is measured, so its guard follows what it does with `next`; the second is not. */
async function callTwice(app: App, service: Service) {
  const call = () =>
    onLightPair(
      (request, forward) =>
        app(request, async (sent) => {
          if (service === "later") await new Promise((resolve) => setTimeout(resolve, 0));
          return forward(sent);
        }),
      {},
      { body: ["ok"] },
    );
  return [await call(), await call()];
}

test("onAnswer is the same as code behind await next(), among any filters", async () => {
  const drawn = fc.record({ way: fc.constantFrom(...ways), deed: fc.constantFrom(...deeds) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawn, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(...services),
      async (filters, service) => {
        const asked = await runOf(filters, service);
        const awaited = await runOf(
          filters.map(({ deed }) => ({ way: "await", deed })),
          service,
        );
        expect(asked).toEqual(awaited);
      },
    ),
    { numRuns: 400 },
  );
}, 60_000);

test("onAnswer asked twice calls back the later one first, each once", async () => {
  const seen: string[] = [];
  const app = usesApp([
    ((c, next) => {
      c.env.onAnswer(() => void seen.push("first"));
      c.env.onAnswer(() => void seen.push("second"));
      return next();
    }) satisfies Middleware as never,
  ]);
  await onLightPair(app, {}, {});
  expect(seen).toEqual(["second", "first"]);
});

test.each(services)("what next() gives ends for a filter that hands it on: answered %s", async (service) => {
  const seen: string[] = [];
  const app = usesApp([
    ((_c, next) => {
      const going = next();
      void going.then(() => seen.push("ended"));
      return going;
    }) satisfies Middleware as never,
    ((_c, next) => next()) satisfies Middleware as never,
  ]);
  const [measured, other] = await callTwice(app, service);
  expect(seen).toEqual(["ended", "ended"]);
  expect(other).toEqual(measured!);
});
