/** What people write in a filter, twice: under Hono's own app on the host's own pair, and as filters of a route. */
import { describe, expect, test } from "bun:test";
import { Context, Hono } from "hono";
import { routePath } from "hono/route";
import { usesApp } from "./chain-app.ts";
import { honoApp, onLightPair, onNativePair } from "./fetch/both-pairs.ts";
import { after, type Case, cookies, text } from "./fetch/case.ts";
import { handlerCases } from "./fetch/handler-cases.ts";

const contextCases: readonly Case[] = [
  {
    name: "c.set, c.get and c.var",
    uses: [
      async (c, next) => {
        const before = [c.get("a"), c.var];
        c.set("a", 1);
        c.set("b", [2]);
        await next();
        c.header("x-vars", JSON.stringify([before, c.get("a"), c.get("b"), c.var]));
      },
      after((c) => c.set("a", `${c.get("a")} and more`)),
    ],
  },
  {
    name: "members taken off the context",
    uses: [
      async ({ set, get, header }, next) => {
        set("a", "b");
        await next();
        header("x-a", get("a"));
        header("x-gone", undefined);
      },
      ({ text: say, status }) => {
        status(201);
        return say("said");
      },
    ],
  },
  {
    name: "members replaced",
    uses: [
      async (c, next) => {
        const { text: say, set } = c;
        c.text = ((said: string) => say(said.toUpperCase())) as never;
        c.set = ((name: string, value: string) => set(name, `${value}!`)) as never;
        await next();
      },
      (c) => {
        c.set("a", "b");
        return c.text(c.get("a"));
      },
    ],
  },
  {
    name: "c.header before next and after it",
    uses: [
      async (c, next) => {
        c.header("x-a", "before");
        c.header("x-b", "before");
        await next();
        c.header("x-b", "after");
        c.header("x-c", "after");
        c.header("set-cookie", "c=3", { append: true });
      },
    ],
    answer: cookies,
  },
  {
    name: "c.header before an answer",
    uses: [
      (c) => {
        c.header("x-a", "1");
        c.header("x-a", "2", { append: true });
        c.header("x-b", "1");
        c.header("x-b");
        return c.body("made", 203);
      },
    ],
  },
  {
    name: "c.status before next",
    uses: [
      (c, next) => {
        c.status(201);
        return next();
      },
    ],
    answer: text,
  },
  {
    name: "c.res read before there is one",
    uses: [
      async (c, next) => {
        c.res.headers.set("x-early", String(c.finalized));
        await next();
        c.header("x-late", String(c.finalized));
      },
    ],
    answer: text,
  },
  {
    name: "c.res set before next stays",
    uses: [
      async (c, next) => {
        c.res = new Response("mine", { status: 202 });
        await next();
      },
    ],
    answer: text,
  },
  {
    name: "c.res taken away and set again",
    uses: [
      after((c) => {
        c.res = undefined;
        c.res = new Response("anew", { headers: { "x-new": "1" } });
      }),
    ],
    answer: cookies,
  },
  {
    name: "c.res taken away",
    uses: [
      after((c) => {
        c.res = undefined;
      }),
    ],
    answer: cookies,
  },
  {
    name: "an answer returned after next",
    uses: [
      async (c, next) => {
        await next();
        return c.text("too late");
      },
    ],
    answer: text,
  },
  {
    name: "next returned, and nothing else",
    uses: [(_, next) => next(), async (_, next) => next()],
    answer: text,
  },
  {
    name: "what is no Response returned",
    uses: [
      async (_, next) => {
        await next();
        return "text";
      },
    ],
    answer: text,
  },
  { name: "an answer at once", uses: [() => new Response("now", { status: 203 })] },
  { name: "an answer at once, to HEAD", uses: [(c) => c.text("now")], request: { method: "HEAD" } },
  {
    name: "an HTTPException's answer, seen further out",
    uses: [
      after((c) => c.header("x-seen", `${c.res.status} ${c.error?.message}`)),
      handlerCases.find(({ name }) => name === "an HTTPException")!.uses[0]!,
    ],
  },
  {
    name: "c.render",
    uses: [
      async (c, next) => {
        c.setRenderer(((content: string) => c.html(`<main>${content}</main>`)) as never);
        await next();
      },
      (c) => c.render("hello"),
    ],
  },
  {
    name: "c.setLayout and c.getLayout",
    uses: [
      (c) => {
        c.setLayout((() => "layout") as never);
        return c.text(String((c.getLayout() as () => string)()));
      },
    ],
  },
  {
    name: "c.newResponse",
    uses: [(c) => c.newResponse("made", 299 as never, { "x-a": "1" })],
  },
  {
    name: "c.executionCtx and c.event, which there are none of",
    uses: [
      (c) => {
        const said = [];
        for (const name of ["executionCtx", "event"] as const) {
          try {
            said.push(typeof c[name]);
          } catch (error) {
            said.push((error as Error).message);
          }
        }
        return c.json(said);
      },
    ],
  },
  { name: "instanceof Context", uses: [(c) => c.text(String(c instanceof Context))] },
  { name: "c.req.routePath", uses: [(c) => c.json([routePath(c), c.req.matchedRoutes.length])] },
  {
    name: "c.req.routeIndex, all along",
    uses: [
      async (c, next) => {
        const { routeIndex } = c.req;
        await next();
        c.header("x-index", `${routeIndex} ${c.req.routeIndex}`);
      },
      async (c, next) => {
        c.header("x-inner", String(c.req.routeIndex));
        await next();
      },
    ],
  },
  {
    name: "the same through c.req.raw put in place late",
    uses: [
      (_, next) => next(),
      async (c, next) => {
        c.req.raw = new Request("http://shop.example/other", { headers: { "x-a": "1" } });
        await next();
      },
    ],
    request: { path: "/first", headers: { "x-b": "1" } },
  },
];

describe("filters of a route do as under Hono's own app:", () => {
  for (const { name, uses, request = {}, answer = {} } of [...handlerCases, ...contextCases]) {
    test(name, async () => {
      const native = await onNativePair(honoApp(uses), request, answer);
      const found = await onLightPair(usesApp(uses), request, answer);
      const headers = found.headers.filter((line) => line !== "x-clearway-reason: refused-by-filter");
      expect({ ...found, headers }).toEqual({ ...native, headers: [...native.headers] });
    });
  }
});

/** Found in Hono's own, so that a newer version's are tested too; but for `env`, which every route gives. */
const { context: contextMembers, request: requestMembers } = await membersOf();

describe("has every member of Hono's, of the same kind:", () => {
  for (const [what, names, object] of [
    ["the context", contextMembers, (c: Context) => c],
    ["its request", requestMembers, (c: Context) => c.req],
  ] as const) {
    test(what, async () => {
      let found: unknown;
      const look = (c: Context) => {
        found = names.map((name) => [String(name), kindOf(object(c), name)]);
        return c.text("seen");
      };
      await onNativePair(honoApp([look]), {}, {});
      const wanted = found;
      await onLightPair(usesApp([look]), {}, {});
      expect(found).toEqual(wanted);
    });
  }
});

function membersOf(): Promise<Record<"context" | "request", readonly PropertyKey[]>> {
  const named = (object: object) => [
    ...Reflect.ownKeys(object),
    ...Reflect.ownKeys(Object.getPrototypeOf(object)),
  ];
  return new Promise((resolve) => {
    const app = new Hono();
    app.all("*", (c) => {
      resolve({ context: named(c).filter((name) => name !== "env"), request: named(c.req) });
      return c.text("seen");
    });
    app.request("/");
  });
}

function kindOf(object: object, name: PropertyKey): string {
  try {
    return typeof Reflect.get(object, name);
  } catch (error) {
    return String(error);
  }
}
