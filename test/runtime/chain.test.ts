import { beforeAll, describe, expect, spyOn, test } from "bun:test";
import { HTTPException } from "hono/http-exception";
import { compileChain } from "../../src/runtime/chain.ts";
import { MessageFailure } from "../../src/runtime/failures.ts";
import { installGlobals } from "../../src/runtime/fetch/globals.ts";
import { outgoingResponse } from "../../src/runtime/fetch/outgoing.ts";
import type { LiveFilter } from "../../src/runtime/live-filter.ts";
import type { BodySink, Middleware, Variables } from "../../src/types.ts";
import { passThrough, type TestEnd } from "./chain-app.ts";
import { ManualBody, requestFrom, responseFrom } from "./fetch/messages.ts";
import { makeFilter, makeFilters, testParts } from "./filter-parts.ts";

beforeAll(installGlobals);

const reasonHeader = "x-clearway-reason";
const answer = () => responseFrom(["X-Kept: yes"], { body: new ManualBody(["from the service"]) });

interface End extends TestEnd {
  readonly forwarded: { readonly request: Request; readonly vars: Variables }[];
}

function chainEnd(forward: (request: Request) => Response | Promise<Response> = answer): End {
  const forwarded: { request: Request; vars: Variables }[] = [];
  return {
    forwarded,
    remoteAddress: "192.0.2.1",
    identity: null,
    listener: "web",
    route: "orders",
    path: "/orders/1",
    finished: () => {},
    forward(request, context) {
      forwarded.push({ request, vars: context.var });
      return forward(request);
    },
  };
}

function run(
  filters: readonly LiveFilter[],
  end: End,
  request = requestFrom(["Host: shop.example"]),
): Promise<Response> {
  return passThrough(compileChain(filters)!, request, end);
}

const down = (middleware: Middleware) => ({ middleware: () => middleware });
const boom = (): never => {
  throw new Error("boom");
};

describe("compileChain", () => {
  test("is null without a filter, and goes straight on without a downstream one", async () => {
    expect(compileChain([])).toBeNull();
    const upstream = makeFilter("up", { upstream: () => (_, send) => send() }, testParts());
    expect(await (await run([upstream], chainEnd())).text()).toBe("from the service");
  });

  test("runs filters in order, forwards c.req.raw and hands on what they set", async () => {
    const seen: string[] = [];
    const note =
      (name: string): Middleware =>
      async (c, next) => {
        seen.push(`${name} in`);
        c.set(name, c.env.route);
        await next();
        seen.push(`${name} out`);
      };
    const end = chainEnd();
    const request = requestFrom([]);
    await run(
      makeFilters(
        [
          ["a", down(note("a"))],
          ["b", down(note("b"))],
        ],
        testParts(),
      ),
      end,
      request,
    );
    expect(seen).toEqual(["a in", "b in", "b out", "a out"]);
    expect(end.forwarded[0]!.request).toBe(request);
    expect(end.forwarded[0]!.vars).toEqual({ a: "orders", b: "orders" });
  });

  test("leaves an answer that no filter touched to the socket", async () => {
    const source = new ManualBody(["x"]);
    const came = responseFrom(["A: 1"], { body: source });
    const headers: Middleware = async (c, next) => {
      await next();
      c.header("x-took", "1");
    };
    const response = await run(
      [makeFilter("a", down(headers), testParts())],
      chainEnd(() => came),
    );
    const { body, fields } = outgoingResponse(response);
    expect(body).toEqual({ kind: "source", source });
    expect(fields.removed).toEqual([]);
    expect(fields.added).toEqual(["x-took", "1"]);
    expect(source.begun).toBe(false);
  });

  test("a filter's own answer ends the chain", async () => {
    const end = chainEnd();
    const response = await run(
      [
        makeFilter(
          "a",
          down(async (c) => c.text("no", 403)),
          testParts(),
        ),
      ],
      end,
    );
    expect(response.status).toBe(403);
    expect(end.forwarded).toEqual([]);
  });

  test("forwards HEAD as HEAD and keeps its content-length", async () => {
    const end = chainEnd(() => responseFrom(["Content-Length: 5"]));
    const filter = makeFilter(
      "a",
      down(async (c, next) => {
        await next();
        c.header("x-method", c.req.method);
      }),
      testParts(),
    );
    const response = await run([filter], end, requestFrom([], { method: "HEAD" }));
    expect(end.forwarded[0]!.request.method).toBe("HEAD");
    const { fields } = outgoingResponse(response);
    expect(fields).toMatchObject({ removed: [], added: ["x-method", "HEAD"] });
  });

  test("c.req.path is the path that is forwarded, not decoded", async () => {
    const paths: string[] = [];
    const filter = makeFilter(
      "a",
      down(async (c, next) => {
        paths.push(c.req.path);
        await next();
      }),
      testParts(),
    );
    for (const path of ["/a%2fb/%41", "/a//b"]) {
      await run([filter], { ...chainEnd(), path }, requestFrom([], { url: "http://h/as/it/came?q=/x" }));
    }
    expect(paths).toEqual(["/a%2fb/%41", "/a//b"]);
  });

  test("c.req.param has what the names in the route's path took, decoded once", async () => {
    const seen: unknown[] = [];
    const filter = makeFilter(
      "a",
      down(async (c, next) => {
        seen.push([c.req.param("shop" as never), c.req.param()]);
        await next();
      }),
      testParts(),
    );
    const chain = compileChain([filter, filter], "/:shop/orders/:id")!;
    for (const path of ["/a%2fb/orders/1", "/x/orders/%2541"]) {
      await passThrough(chain, requestFrom([]), { ...chainEnd(), path });
    }
    await run([filter], chainEnd());
    const first = ["a/b", { shop: "a/b", id: "1" }];
    const second = ["x", { shop: "x", id: "%41" }];
    expect(seen).toEqual([first, first, second, second, [undefined, {}]]);
  });
});

describe("onError fail", () => {
  for (const [when, middleware] of [
    ["before next", boom],
    [
      "after next",
      async (_, next) => {
        await next();
        boom();
      },
    ],
    [
      "with what is no Error",
      () => {
        throw "boom";
      },
    ],
  ] as [string, Middleware][]) {
    test(`answers 500 when the filter throws ${when}`, async () => {
      const parts = testParts();
      const response = await run([makeFilter("broken", down(middleware), parts)], chainEnd());
      expect(response.status).toBe(500);
      expect(response.headers.get(reasonHeader)).toBe("filter-error");
      expect(response.headers.get("x-kept")).toBeNull();
      expect(await response.text()).not.toContain("boom");
      expect(parts.logged[0]).toMatchObject({
        message: "the filter failed",
        fields: { filter: "broken", error: "boom" },
      });
      expect(parts.counted).toEqual([
        { name: "clearway_filter_errors_total", labels: { filter: "broken", version: "" } },
      ]);
    });
  }

  test("filters around it see the answer and c.error", async () => {
    let seen: Error | undefined;
    const outer: Middleware = async (c, next) => {
      await next();
      seen = c.error;
      c.header("x-outer", String(c.res.status));
    };
    const response = await run(
      makeFilters(
        [
          ["outer", down(outer)],
          ["broken", down(boom)],
        ],
        testParts(),
      ),
      chainEnd(),
    );
    expect(response.headers.get("x-outer")).toBe("500");
    expect(seen?.message).toBe("boom");
  });

  test("an HTTPException is a refusal with its own response", async () => {
    const parts = testParts();
    const filter = makeFilter(
      "auth",
      down(() => {
        throw new HTTPException(401, {
          res: new Response("who?", { headers: { "www-authenticate": "Basic" } }),
        });
      }),
      parts,
      { onError: "open" },
    );
    const end = chainEnd();
    const response = await run([filter], end);
    expect([response.status, await response.text()]).toEqual([401, "who?"]);
    expect(response.headers.get("www-authenticate")).toBe("Basic");
    expect(response.headers.get(reasonHeader)).toBe("refused-by-filter");
    expect(end.forwarded).toEqual([]);
    expect(parts.logged).toEqual([]);
  });

  test("a refusal keeps the reason that it says itself", async () => {
    const res = new Response("later", { status: 429, headers: { [reasonHeader]: "rate-limited" } });
    const refuses = down(() => {
      throw new HTTPException(429, { res });
    });
    const response = await run([makeFilter("limit", refuses, testParts())], chainEnd());
    expect([response.status, response.headers.get(reasonHeader)]).toEqual([429, "rate-limited"]);
  });

  for (const [kind, of, wanted] of [
    ["bad-body", "request", [400, "bad-body"]],
    ["truncated", "answer", [502, "upstream-reset"]],
  ] as const) {
    test(`a body that fails with ${kind} while a filter reads it is none of the filter's doing`, async () => {
      const parts = testParts();
      const failure = new MessageFailure(kind, "half of it", { side: "downstream" });
      const body = { ...new ManualBody(), lengthBytes: null, pipe: (sink: BodySink) => sink.fail(failure) };
      const reads: Middleware = async (c, next) => {
        if (of === "request") await c.req.text();
        await next();
        await c.res.text();
      };
      const end = chainEnd(() => responseFrom([], { body: body as never }));
      const request = requestFrom([], { method: "POST", body: body as never });
      const response = await run(
        [makeFilter("reads", down(reads), parts, { onError: "open" })],
        end,
        request,
      );
      expect([response.status, response.headers.get(reasonHeader)]).toEqual([...wanted]);
      expect([parts.logged, parts.counted]).toEqual([[], []]);
    });
  }

  test("names a filter that neither answers nor goes on", async () => {
    const parts = testParts();
    const silent: Middleware = async () => {};
    const response = await run(
      makeFilters(
        [
          ["good", down((_, next) => next())],
          ["silent", down(silent)],
        ],
        parts,
      ),
      chainEnd(),
    );
    expect([response.status, response.headers.get(reasonHeader)]).toEqual([500, "filter-error"]);
    expect(parts.logged[0]!.fields.filter).toBe("silent");
  });

  test("names a filter that calls next twice", async () => {
    const parts = testParts();
    const twice: Middleware = async (_, next) => {
      await next();
      await next();
    };
    const response = await run([makeFilter("twice", down(twice), parts)], chainEnd());
    expect(response.status).toBe(500);
    expect(parts.logged[0]!.fields).toMatchObject({ filter: "twice", error: "next() called multiple times" });
  });

  test("a failure of forwarding keeps its own reason and is no filter's", async () => {
    const parts = testParts();
    const failing = chainEnd(() =>
      Promise.reject(new MessageFailure("upstream-timeout", "too slow", { side: "upstream" })),
    );
    const response = await run(
      [
        makeFilter(
          "a",
          down((_, next) => next()),
          parts,
        ),
      ],
      failing,
    );
    expect([response.status, response.headers.get(reasonHeader)]).toEqual([504, "upstream-timeout"]);
    expect(parts.logged).toEqual([]);
  });
});

describe("onError open", () => {
  const open = { onError: "open" } as const;

  test("goes on without a filter that throws before next", async () => {
    const parts = testParts();
    const end = chainEnd();
    const response = await run([makeFilter("broken", down(boom), parts, open)], end);
    expect(await response.text()).toBe("from the service");
    expect(end.forwarded.length).toBe(1);
    expect(parts.logged[0]!.fields).toMatchObject({ filter: "broken", onError: "open" });
  });

  test("sends the answer as it was when the filter throws after next", async () => {
    const end = chainEnd();
    const late: Middleware = async (_, next) => {
      await next();
      boom();
    };
    const response = await run([makeFilter("late", down(late), testParts(), open)], end);
    expect([response.status, await response.text()]).toEqual([200, "from the service"]);
    expect(end.forwarded.length).toBe(1);
  });

  test("waits for what a filter began before it threw", async () => {
    const end = chainEnd();
    const hasty: Middleware = (_, next) => {
      void next();
      return boom();
    };
    const response = await run([makeFilter("hasty", down(hasty), testParts(), open)], end);
    expect(await response.text()).toBe("from the service");
    expect(end.forwarded.length).toBe(1);
  });
});

describe("durations of filters", () => {
  test("count every call, read the clock for one in 64, leave out what is inside", async () => {
    const parts = testParts();
    const slow: Middleware = async (_, next) => {
      parts.clock.advance(2);
      await next();
      parts.clock.advance(1);
    };
    const end = chainEnd(() => {
      parts.clock.advance(50);
      return answer();
    });
    const filter = makeFilter("slow", down(slow), parts, { version: "c0de" });
    const readings = spyOn(parts.clock, "now");
    for (let i = 0; i < 130; i++) await run([filter], end);
    expect(parts.durations.length).toBe(130);
    // Calls 1, 65 and 129: at the start, around what is inside, and at the end.
    expect(readings).toHaveBeenCalledTimes(12);
    expect(new Set(parts.durations.map(({ durationMs }) => durationMs))).toEqual(new Set([3]));
    expect(parts.durations[0]).toEqual({ name: "slow", version: "c0de", durationMs: 3 });
  });
});
