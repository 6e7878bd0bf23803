/** `c.env.onAnswer`: whatever filters stand around one another, it does what code behind `await next()` does. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Middleware } from "../../src/types.ts";
import { chainApp, usesApp } from "./chain-app.ts";
import { onLightPair } from "./fetch/both-pairs.ts";
import { makeFilters, testParts } from "./filter-parts.ts";

const ways = ["await", "ask", "ask later", "then", "hand on", "hand on later"] as const;
const deeds = ["go on", "go on", "go on", "refuse", "throw before", "throw after", "answer anew"] as const;

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
    case "hand on":
      return asking;
    case "ask later":
    case "hand on later":
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

async function runOf(filters: readonly Drawn[], service: "at once" | "later") {
  const seen: string[] = [];
  const app = chainApp(
    makeFilters(
      filters.map((drawn, place) => [
        `use-${place}`,
        {
          middleware: () => filterOf(drawn, place, seen),
          ...(drawn.way.startsWith("hand on") ? { handsOn: true as const } : {}),
        },
      ]),
      testParts(),
    ),
  );
  const run = () =>
    onLightPair(
      (request, forward) =>
        app(request, async (sent) => {
          if (service === "later") await new Promise((resolve) => setTimeout(resolve, 0));
          return forward(sent);
        }),
      {},
      { body: ["ok"] },
    );
  // The first call of a filter is measured, and so waits for its `next()` in any case; the second is not.
  return { seen, wires: [await run(), await run()] };
}

test("onAnswer is the same as code behind await next(), among any filters", async () => {
  const drawn = fc.record({ way: fc.constantFrom(...ways), deed: fc.constantFrom(...deeds) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawn, { minLength: 1, maxLength: 6 }),
      fc.constantFrom("at once" as const, "later" as const),
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
});

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
