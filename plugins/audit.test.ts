import { describe, expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import { Hono } from "hono";
import audit from "./audit.ts";

const options = { to: "audit.jsonl" };

function entries(filter: { lines(path: string): readonly string[] }) {
  const path = ["audit.jsonl"].find((name) => filter.lines(name).length > 0) ?? "audit.jsonl";
  return filter.lines(path).map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("audit", () => {
  test("says who did what, when, and what came of it", async () => {
    await using filter = testFilter(
      audit,
      { ...options, headers: ["X-Ticket"] },
      {
        caller: { remoteAddress: "198.51.100.9", identity: "spiffe://store.example/storefront" },
        vars: { caller: "mobile", claims: { sub: "alice" }, requestId: "r1" },
        route: { name: "charges" },
      },
    );
    await (
      await filter.request("http://shop.example/charge?card=4111", {
        method: "POST",
        body: "secret",
        headers: { authorization: "Bearer secret", cookie: "session=secret", "x-ticket": "T-1" },
      })
    ).text();
    expect(entries(filter)).toEqual([
      {
        time: new Date(filter.clock.epochMs()).toISOString(),
        method: "POST",
        host: "shop.example",
        path: "/charge",
        headers: { "X-Ticket": "T-1" },
        remoteAddress: "198.51.100.9",
        identity: "spiffe://store.example/storefront",
        caller: "mobile",
        subject: "alice",
        requestId: "r1",
        outcome: "done",
        status: 200,
        reason: null,
        route: "charges",
        service: "orders",
        durationMs: 0,
      },
    ]);
    expect(filter.lines("audit.jsonl")[0]).not.toMatch(/secret|4111/);
  });

  test("writes down what changes something, unless it is told otherwise", async () => {
    await using filter = testFilter(audit, options);
    const all = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
    for (const method of all) await (await filter.request("/", { method })).text();
    expect(entries(filter).map(({ method }) => method)).toEqual(["POST", "PUT", "PATCH", "DELETE"]);
    await filter.reload({ ...options, methods: ["GET"], paths: ["/admin/*", "/me"] });
    for (const path of ["/admin/users", "/admin", "/administrators", "/me", "/me/2", "/"]) {
      await (await filter.request(path)).text();
    }
    expect(
      entries(filter)
        .slice(4)
        .map(({ path }) => path),
    ).toEqual(["/admin/users", "/admin", "/me"]);
  });

  test("tells refusals from failures and from answers that were cut off", async () => {
    const service = new Hono()
      .post("/denied", (c) => c.text("no", 403))
      .post("/broken", (c) => c.text("no", 500))
      .post("/cut", () => {
        const start = new TextEncoder().encode("half");
        let sent = 0;
        return new Response(
          new ReadableStream({
            pull(controller) {
              sent += 1;
              if (sent === 1) controller.enqueue(start);
              else controller.error(new Error("gone"));
            },
          }),
        );
      });
    await using filter = testFilter(audit, options, { service });
    for (const path of ["/denied", "/broken", "/cut"]) {
      await filter
        .request(path, { method: "POST" })
        .then((response) => response.text())
        .catch(() => {});
    }
    expect(entries(filter).map(({ outcome, status }) => [outcome, status])).toEqual([
      ["refused", 403],
      ["failed", 500],
      ["cut", 200],
    ]);
  });

  test("writes down what filters behind it refuse, and why", async () => {
    await using filter = testFilter(audit, options, {
      after: [{ "ip-allow": { deny: ["203.0.113.0/24"] } }],
    });
    await (await filter.request("/", { method: "DELETE" })).text();
    expect(entries(filter)).toMatchObject([
      { outcome: "refused", status: 403, reason: "forbidden", service: null },
    ]);
  });

  test("keeps a line a line, and plain, whatever a caller sends", async () => {
    await using filter = testFilter(audit, { ...options, headers: ["x-ticket"] });
    const ticket = `"}\u009b31m\u00e9${"x".repeat(500)}`;
    await (
      await filter.request(`/${"a".repeat(2000)}`, { method: "POST", headers: { "x-ticket": ticket } })
    ).text();
    const [line = ""] = filter.lines("audit.jsonl");
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    const { path, headers } = JSON.parse(line) as { path: string; headers: Record<string, string> };
    expect([path.length, headers["x-ticket"]]).toEqual([1024, ticket.slice(0, 256)]);
  });

  test("wants a file, and no header that carries a secret", () => {
    for (const [wrong, message] of [
      [{}, "cannot find `to`"],
      [{ ...options, headers: ["Authorization"] }, "wanted a header that carries no secret"],
      [{ ...options, headers: ["x-api-key"] }, "wanted a header that carries no secret"],
      [{ ...options, methods: ["post"] }, "wanted a method such as POST"],
      [{ ...options, paths: ["admin"] }, "wanted a path such as /charge"],
      [{ ...options, paths: ["/admin*"] }, "wanted a path such as /charge"],
    ] as const) {
      expect(() => testFilter(audit, wrong as never)).toThrow(message);
    }
  });
});
