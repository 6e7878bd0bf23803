import { describe, expect, test } from "bun:test";
import { defineFilter, service, z } from "clearway/plugin";
import { testFilter } from "clearway/plugin/test";
import { Hono } from "hono";
import retry from "../../src/filters/retry.ts";

const stamp = defineFilter({
  name: "stamp",
  summary: "Adds a header to every response",
  options: z.strictObject({ header: z.string() }),
  middleware: (options) => async (c, next) => {
    await next();
    c.header(options.header, "1");
  },
});

const options = { header: "x-stamp" };

describe("a service", () => {
  test("is a Hono app, and several have names", async () => {
    const orders = new Hono().get("/orders/:id", (c) => c.json({ id: c.req.param("id") }));
    const asking = defineFilter({
      name: "asking",
      summary: "Asks another service",
      options: z.strictObject({ of: service() }),
      middleware:
        ({ of }, tools) =>
        async (c, next) => {
          const answer = await tools.call(of, new Request("http://accounts.mesh/me"));
          c.set("account", await answer.text());
          await next();
        },
    });
    await using filter = testFilter(
      asking,
      { of: "accounts" },
      {
        service: orders,
        services: { accounts: () => new Response("alice") },
      },
    );
    expect(await (await filter.request("/orders/7")).json()).toEqual({ id: "7" });
    expect(filter.received.map((one) => `${one.service} ${one.target}`)).toEqual([
      "accounts /me",
      "orders /orders/7",
    ]);
    expect(filter.vars).toEqual({ account: "alice" });
  });

  test("takes its time, which passes at once", async () => {
    await using filter = testFilter(stamp, options, {
      service: async (_request, { wait }) => {
        await wait(700);
        return new Response("late");
      },
    });
    const response = await filter.request("/");
    expect([response.status, filter.clock.now()]).toEqual([200, 700]);
  });

  test("that takes too long meets the route's timeout", async () => {
    await using filter = testFilter(stamp, options, {
      route: { timeout: "2s" },
      service: async (_request, { wait }) => {
        await wait(60_000);
        return new Response("late");
      },
    });
    const response = await filter.request("/");
    expect([response.status, response.headers.get("x-clearway-reason")]).toEqual([504, "upstream-timeout"]);
    expect(filter.clock.now()).toBeWithin(2000, 2300);
  });

  for (const [endpoint, reason] of [
    ["refused", "no-healthy-endpoint"],
    ["silent", "no-healthy-endpoint"],
    [() => "reset" as const, "upstream-reset"],
  ] as const) {
    test(`fails: ${typeof endpoint === "string" ? endpoint : "reset"}`, async () => {
      await using filter = testFilter(stamp, options, { service: endpoint });
      const response = await filter.request("/");
      expect([response.status >= 502, response.headers.get("x-clearway-reason")]).toEqual([true, reason]);
    });
  }

  test("has several endpoints, and a filter that sends again meets another", async () => {
    await using filter = testFilter(
      retry,
      { attempts: 3, when: ["reset", 503] },
      {
        service: [() => new Response("busy", { status: 503 }), () => new Response("fine"), () => "reset"],
      },
    );
    // The budget of a new retry is empty: time fills it.
    await filter.request("/");
    await filter.clock.advance(1000);
    for (let count = 0; count < 5; count++) expect((await filter.request("/")).status).toBe(200);
    expect(new Set(filter.received.map(({ endpoint }) => endpoint)).size).toBeGreaterThan(1);
  });

  test("sends its body while time passes, and cuts it off", async () => {
    const body =
      (end: "close" | "error") =>
      async (_request: Request, { wait }: { wait(ms: number): Promise<void> }) =>
        new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue(new TextEncoder().encode("one "));
              await wait(3000);
              controller.enqueue(new TextEncoder().encode("two"));
              if (end === "close") controller.close();
              else controller.error(new Error("the disk is gone"));
            },
          }),
        );
    await using whole = testFilter(stamp, options, { service: body("close") });
    const response = await whole.request("/");
    expect([whole.clock.now(), await response.text(), whole.clock.now()]).toEqual([0, "one two", 3000]);
    await using half = testFilter(stamp, options, { service: body("error") });
    const cut = await half.request("/");
    expect(cut.text()).rejects.toThrow();
    await half.clock.advance(5000);
    expect(half.ended).toMatchObject([{ status: 200, complete: false }]);
  });

  test("that throws fails the request with its error", async () => {
    await using filter = testFilter(stamp, options, {
      service: (request) => {
        expect(request.headers.get("x-tenant")).toBe("blue");
        return new Response("ok");
      },
    });
    expect(filter.request("/")).rejects.toThrow("expect(received).toBe(expected)");
  });
});
