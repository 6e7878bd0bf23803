import { describe, expect, test } from "bun:test";
import { defineFilter, duration, service, z } from "clearway/plugin";
import { testFilter } from "clearway/plugin/test";

const none = z.strictObject({});

const stamp = defineFilter({
  name: "stamp",
  summary: "Adds a header to every response",
  options: z.strictObject({
    header: z.string(),
    value: z.string().default("1"),
    per: duration().optional(),
    limits: z.strictObject({ max: z.number() }).optional(),
  }),
  middleware: (options, tools) => async (c, next) => {
    tools.metrics.count("stamped", { header: options.header });
    await next();
    c.header(options.header, options.value);
  },
});

const options = { header: "x-stamp" };

describe("a request", () => {
  test("goes through the chain to the service, and its answer back to the caller", async () => {
    await using filter = testFilter(stamp, options);
    const response = await filter.request("/orders?a=1", {
      method: "POST",
      body: "hello",
      headers: { "x-a": "b" },
    });
    expect([response.status, response.headers.get("x-stamp"), await response.text()]).toEqual([
      200,
      "1",
      "ok",
    ]);
    expect(filter.received).toMatchObject([
      { service: "orders", endpoint: 0, method: "POST", target: "/orders?a=1", body: "hello", atMs: 0 },
    ]);
    const { headers } = filter.received[0]!;
    expect([headers.get("x-a"), headers.get("host"), headers.get("x-forwarded-for")]).toEqual([
      "b",
      "shop.example",
      "203.0.113.7",
    ]);
    expect(filter.ended).toMatchObject([
      { listener: "web", route: "orders", service: "orders", status: 200, attempts: 1, complete: true },
    ]);
  });

  test("has the host, the method and the body that the test gives", async () => {
    await using filter = testFilter(stamp, options);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const text of ["one ", "two"]) controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });
    await filter.request("http://other.example/x", { method: "PURGE", body });
    const [received] = filter.received;
    expect([received?.headers.get("host"), received?.method, received?.body]).toEqual([
      "other.example",
      "PURGE",
      "one two",
    ]);
  });

  test("comes from the caller that the test names", async () => {
    const who = defineFilter({
      name: "who",
      summary: "Says who calls",
      options: none,
      middleware: () => async (c) => {
        const { remoteAddress, identity, route, listener } = c.env;
        return c.json({ remoteAddress, identity, route, listener });
      },
    });
    await using filter = testFilter(
      who,
      {},
      {
        caller: { identity: "spiffe://store.example/storefront" },
        route: { name: "charge", match: { path: "/charge" } },
        listener: "inbound",
      },
    );
    const response = await filter.request("/charge", { caller: { remoteAddress: "2001:db8::1" } });
    expect(await response.json()).toEqual({
      remoteAddress: "2001:db8::1",
      identity: "spiffe://store.example/storefront",
      route: "charge",
      listener: "inbound",
    });
    expect(filter.received).toEqual([]);
  });

  test("is refused as a node refuses it, and rejects where there is no answer", async () => {
    await using filter = testFilter(stamp, options, { route: { match: { path: "/orders" } } });
    const unmatched = await filter.request("/nothing");
    expect([unmatched.status, unmatched.headers.get("x-clearway-reason")]).toEqual([404, "no-route"]);
    const leaving = new AbortController();
    const left = filter.request("/orders", { signal: leaving.signal });
    leaving.abort(new Error("the caller left"));
    expect(left).rejects.toThrow("the caller left");
  });

  test("that no route takes meets the filters of the listener", async () => {
    await using filter = testFilter(stamp, options, {
      place: "listener",
      route: { match: { path: "/orders" } },
    });
    const response = await filter.request("/nothing");
    expect([response.status, response.headers.get("x-stamp")]).toEqual([404, "1"]);
  });
});

describe("wrong options", () => {
  test("are an Error with what a config would say of each", () => {
    const wrong = { heder: "x", value: 5, per: "1 sec", limits: { max: "many" } };
    expect(() => testFilter(stamp, wrong as never)).toThrow(
      [
        'cannot test the filter "stamp" like this:',
        '  heder: unknown key "heder"; did you mean `header`?',
        '  value: cannot read 5: wanted text; quote it: "5"',
        '  per: cannot read "1 sec": wanted a duration such as 250ms, 2s or 1m',
        '  limits.max: cannot read "many": wanted a number',
      ].join("\n"),
    );
  });

  test("that only the whole config can tell reject the first request", async () => {
    const copied = defineFilter({
      name: "copied",
      summary: "Names a service",
      options: z.strictObject({ to: service() }),
      middleware: () => (_c, next) => next(),
    });
    await using filter = testFilter(copied, { to: "order" });
    expect(filter.request("/")).rejects.toThrow(
      'cannot test the filter "copied" like this:\n  to: unknown service "order"; did you mean `orders`?',
    );
  });

  test("and a filter that throws while it is created reject it too", async () => {
    const broken = defineFilter({
      name: "broken",
      summary: "Cannot be created",
      options: none,
      middleware: () => {
        throw new Error("there is no key file");
      },
    });
    await using filter = testFilter(broken);
    expect(filter.request("/")).rejects.toThrow('cannot create the filter "broken": there is no key file');
  });

  test("are told by the compiler", () => {
    // @ts-expect-error: the options of `stamp` have a header.
    expect(() => testFilter(stamp, { heder: "x-stamp" })).toThrow("unknown key");
  });
});

test("what is wrong with a request is blamed on the line that made it", async () => {
  await using filter = testFilter(stamp, options);
  const error = await filter.request("http://[").catch((caught: Error) => caught);
  expect(String(error)).toBe('Error: cannot request "http://[": wanted a path or a URL');
  expect((error as Error).stack?.split("\n")[1]).toContain("plugin-test.test.ts");
});

describe("what surrounds the filter", () => {
  test("filters before and after it, and what earlier ones set", async () => {
    const greeting = defineFilter({
      name: "greeting",
      summary: "Greets",
      options: none,
      middleware: () => async (c, next) => {
        await next();
        c.header("x-greeting", `hello ${(c.get("claims") as { sub: string }).sub}`);
      },
    });
    await using filter = testFilter(
      greeting,
      {},
      {
        before: ["request-id", [stamp, { header: "x-before" }]],
        after: [{ "hono/pretty-json": null }, { fault: { delay: { for: "40ms" } } }],
        vars: { claims: { sub: "alice" } },
        service: () => Response.json({ count: 2 }),
      },
    );
    const response = await filter.request("/?pretty");
    expect([await response.text(), filter.clock.now()]).toEqual(['{\n  "count": 2\n}', 40]);
    expect([response.headers.get("x-greeting"), response.headers.get("x-before")]).toEqual([
      "hello alice",
      "1",
    ]);
    expect(filter.received[0]!.headers.get("x-request-id")).not.toBeEmpty();
  });

  test("a filter that stands in the wrong place rejects the first request", async () => {
    await using filter = testFilter(stamp, options, { before: ["retry"] });
    expect(filter.request("/")).rejects.toThrow("cannot run stamp, around the request, after retry");
  });

  test("the outside, the log, metrics, files and chance", async () => {
    const busy = defineFilter({
      name: "busy",
      summary: "Uses all its tools",
      options: none,
      middleware: (_options, tools) => async (c, next) => {
        const answer = await tools.fetch("https://id.example/keys", { headers: { "x-a": "1" } });
        tools.log.warn("fetched", { status: answer.status });
        tools.metrics.count("fetched", { result: "good" });
        tools.metrics.observe("fetch", 12);
        tools.file("audit.log").line(`${await answer.text()} ${tools.random.fraction()}`);
        c.env.finished(({ status }) => tools.file("audit.log").line(String(status)));
        await next();
      },
    });
    await using filter = testFilter(
      busy,
      {},
      {
        fetch: (request) => new Response(request.headers.get("x-a")),
        random: () => 0.25,
      },
    );
    await filter.request("/");
    expect(filter.outside.map(({ url }) => url)).toEqual(["https://id.example/keys"]);
    expect(filter.logged).toEqual([
      { level: "warn", message: "fetched", fields: { filter: "busy", status: 200 } },
    ]);
    expect([filter.counted("fetched"), filter.counted("fetched", { result: "bad" })]).toEqual([1, 0]);
    expect(filter.observed("fetch")).toEqual([12]);
    expect(filter.lines("audit.log")).toEqual(["1 0.25", "200"]);
  });

  test("an error of the filter is in the log, and onError says what follows", async () => {
    const failing = defineFilter({
      name: "failing",
      summary: "Throws",
      options: none,
      middleware: () => () => {
        throw new Error("no tenant");
      },
    });
    await using closed = testFilter(failing, {}, { errors: "kept" });
    const refused = await closed.request("/");
    expect([refused.status, refused.headers.get("x-clearway-reason")]).toEqual([500, "filter-error"]);
    expect(JSON.stringify(closed.logged)).toContain("no tenant");
    await using open = testFilter(failing, {}, { errors: "kept", onError: "open" });
    expect((await open.request("/")).status).toBe(200);
  });
});

describe("time", () => {
  const bucket = defineFilter({
    name: "bucket",
    summary: "One request a minute",
    options: none,
    middleware: (_options, { clock }) => {
      let nextMs = 0;
      return async (c, next) => {
        if (clock.now() < nextMs) return c.text("wait", 429);
        nextMs = clock.now() + 60_000;
        await next();
      };
    },
  });

  test("passes when the test says so", async () => {
    await using filter = testFilter(bucket);
    const statuses: number[] = [];
    for (const advanceMs of [0, 59_999, 1]) {
      await filter.clock.advance(advanceMs);
      statuses.push((await filter.request("/")).status);
    }
    expect(statuses).toEqual([200, 429, 200]);
  });

  test("stands while a request waits, when the test wants that", async () => {
    await using filter = testFilter(stamp, options, {
      time: "stands",
      service: async (_request, { wait }) => {
        await wait(500);
        return new Response("late");
      },
    });
    let status = 0;
    const waiting = filter.request("/").then((response) => {
      status = response.status;
    });
    await filter.clock.advance(499);
    expect(status).toBe(0);
    await filter.clock.advance(1);
    await waiting;
    expect([status, filter.clock.now()]).toEqual([200, 500]);
  });
});

test("reload makes a new filter that keeps what the old one kept, and closes that", async () => {
  const counting = defineFilter({
    name: "counting",
    summary: "Counts over reloads",
    options: z.strictObject({ by: z.number().default(1) }),
    middleware: ({ by }, tools) => {
      const kept = tools.keep("count", () => ({ value: 0 }));
      tools.onClose(() => tools.file("closed").line(`by ${by}`));
      return async (c) => {
        kept.value += by;
        return c.text(String(kept.value));
      };
    },
  });
  const filter = testFilter(counting);
  expect(await (await filter.request("/")).text()).toBe("1");
  await filter.reload({ by: 10 });
  expect(await (await filter.request("/")).text()).toBe("11");
  expect(filter.reload({ by: "many" } as never)).rejects.toThrow("wanted a number");
  expect(filter.lines("closed")).toEqual(["by 1"]);
  await filter.close();
  expect(filter.lines("closed")).toEqual(["by 1", "by 10"]);
});
