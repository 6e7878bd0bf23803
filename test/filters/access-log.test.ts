import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import accessLog from "../../src/filters/access-log.ts";
import requestId from "../../src/filters/request-id.ts";
import type { Random } from "../../src/machine.ts";
import type { Bindings, RequestSummary } from "../../src/types.ts";
import { appOf, createMiddleware, testEnv, testTools } from "./tools.ts";

interface Sent {
  readonly options?: Record<string, unknown>;
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly env?: Partial<Bindings>;
  readonly summary?: Partial<RequestSummary>;
  readonly random?: Random;
}

/** Sends one request through the filter and returns the lines of all files after the last byte. */
async function linesOf(sent: Sent): Promise<string[]> {
  const {
    options = {},
    url = "http://shop.example/api/orders?x=1",
    env: given = {},
    summary = {},
    random,
  } = sent;
  const tools = testTools(random === undefined ? {} : { random });
  const env = testEnv(given);
  const app = appOf([createMiddleware(accessLog, options, tools)]);
  await app.request(url, { method: sent.method ?? "GET", headers: sent.headers ?? {} }, env);
  expect([...tools.lines.values()].flat()).toEqual([]);
  env.finish(summary);
  return [...tools.lines.values()].flat();
}

const never: Random = { fraction: () => 0.999, id: () => "" };

describe("access-log", () => {
  test("writes one JSON line after the last byte", async () => {
    const lines = await linesOf({
      headers: { "user-agent": "curl/8.0" },
      env: { identity: "spiffe://store.example/web" },
    });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        time: "2023-11-14T22:13:20.000Z",
        remoteAddress: "203.0.113.7",
        identity: "spiffe://store.example/web",
        method: "GET",
        host: "shop.example",
        path: "/api/orders?x=1",
        status: 200,
        reason: null,
        complete: true,
        requestBytes: 0,
        responseBytes: 2,
        durationMs: 12.346,
        listener: "web",
        route: "orders",
        service: "orders",
        endpoint: "10.0.0.1:9000",
        attempts: 1,
        requestId: null,
        userAgent: "curl/8.0",
      },
    ]);
  });

  test("writes a text line in the order of the Combined Log Format", async () => {
    const headers = { "user-agent": "curl/8.0", referer: "http://a.example/" };
    const summary = { status: 503, reason: "no-healthy-endpoint", endpoint: null, attempts: 0 };
    expect(await linesOf({ options: { format: "text" }, method: "POST", headers, summary })).toEqual([
      '203.0.113.7 - - [14/Nov/2023:22:13:20 +0000] "POST /api/orders?x=1" 503 2 "http://a.example/" "curl/8.0"' +
        " durationMs=12.346 host=shop.example reason=no-healthy-endpoint complete=true requestBytes=0" +
        " listener=web route=orders service=orders endpoint=- attempts=0 requestId=-",
    ]);
  });

  test("knows the request id of a filter before or after it", async () => {
    const tools = testTools();
    const log = createMiddleware(accessLog, {}, tools);
    const id = createMiddleware(requestId, {}, tools);
    for (const order of [
      [log, id],
      [id, log],
    ]) {
      const env = testEnv();
      await appOf(order).request("/", { headers: { "x-request-id": "r-1" } }, env);
      env.finish();
    }
    expect(tools.lines.get("stdout")!.map((line) => JSON.parse(line).requestId)).toEqual(["r-1", "r-1"]);
  });

  test("says what the caller sent, not what a later filter made of it", async () => {
    const tools = testTools();
    const env = testEnv();
    const log = createMiddleware(accessLog, {}, tools);
    const app = appOf([log], (c) => {
      c.req.raw.headers.set("user-agent", "changed");
      return new Response("ok");
    });
    await app.request("/", { headers: { "user-agent": "curl/8.0" } }, env);
    env.finish();
    expect(JSON.parse(tools.lines.get("stdout")![0]!).userAgent).toBe("curl/8.0");
  });

  test("writes where it is told", async () => {
    const tools = testTools();
    for (const to of ["stderr", "/var/log/access.log"]) {
      const env = testEnv();
      await appOf([createMiddleware(accessLog, { to }, tools)]).request("/", {}, env);
      env.finish();
    }
    expect([...tools.lines].map(([path, lines]) => [path, lines.length])).toEqual([
      ["stderr", 1],
      ["/var/log/access.log", 1],
    ]);
  });

  test("leaves out what was not sampled, but never a failure", async () => {
    const options = { sample: "10%" };
    expect(await linesOf({ options, random: never })).toHaveLength(0);
    expect(await linesOf({ options, random: never, summary: { status: 499 } })).toHaveLength(0);
    expect(await linesOf({ options, random: never, summary: { status: 500 } })).toHaveLength(1);
    expect(await linesOf({ options, random: never, summary: { complete: false } })).toHaveLength(1);
    expect(await linesOf({ options, random: { ...never, fraction: () => 0.0999 } })).toHaveLength(1);
  });

  test("logs every request unless told otherwise", async () => {
    expect(await linesOf({ random: never })).toHaveLength(1);
  });

  test("no input leaves printable ASCII or makes a second line", async () => {
    const nasty = fc.string({ unit: "binary", maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(nasty, nasty, fc.constantFrom("json", "text"), async (first, second, format) => {
        const tools = testTools();
        const env = testEnv({ remoteAddress: first });
        // A lightweight request may hold anything that the codec let pass, so the app's own request is changed.
        const app = appOf([
          async (c, next) => {
            const headers = { get: () => second };
            Object.defineProperty(c.req, "raw", {
              value: { method: first, url: `http://${second}/${first}`, headers },
            });
            await next();
          },
          createMiddleware(accessLog, { format }, tools),
        ]);
        await app.request("/", {}, env);
        env.finish({ route: second });
        const line = tools.lines.get("stdout")![0]!;
        expect(line).toMatch(/^[\x20-\x7e]*$/);
        if (format === "json") {
          const read = JSON.parse(line);
          expect([read.method, read.userAgent]).toEqual([first.slice(0, 32), second]);
        }
      }),
      { seed: 7 },
    );
  }, 60_000);

  test("quotes and backslashes cannot end a text field", async () => {
    const headers = { "user-agent": 'a" 200 0 "\\' };
    const [line] = await linesOf({
      options: { format: "text" },
      headers,
      env: { route: "a b" },
      summary: { route: "a b" },
    });
    expect(line).toContain('"a\\" 200 0 \\"\\\\" durationMs=');
    expect(line).toContain("route=a\\u0020b ");
  });

  test("says of each request what it was, however alike the one before was", async () => {
    const tools = testTools();
    const sent = [
      { method: "GET", url: "http://http/a", endpoint: "10.0.0.1:1", remoteAddress: "192.0.2.1" },
      { method: "GET", url: "http://http.example/a", endpoint: "10.0.0.2:1", remoteAddress: "192.0.2.1" },
      { method: "GET", url: "http://http/b?c=d", endpoint: "10.0.0.1:1", remoteAddress: "192.0.2.11" },
      { method: "PUT", url: "http://http/b", endpoint: null, remoteAddress: "192.0.2.1" },
    ];
    const middleware = createMiddleware(accessLog, { to: "a.log" }, tools);
    for (const { method, url, endpoint, remoteAddress } of sent) {
      const env = testEnv({ remoteAddress });
      await appOf([middleware]).request(url, { method }, env);
      env.finish({ endpoint });
    }
    const lines = [...tools.lines.values()].flat().map((line) => JSON.parse(line));
    expect(
      lines.map(({ method, host, path, endpoint, remoteAddress }) => ({
        ...{ method, url: `http://${host}${path}`, endpoint, remoteAddress },
      })),
    ).toEqual(sent);
  });

  test("cuts what callers choose", async () => {
    const url = `http://shop.example/${"a".repeat(5000)}`;
    const [line] = await linesOf({ url, headers: { "user-agent": "u".repeat(5000) } });
    const { path, userAgent } = JSON.parse(line!);
    expect([path.length, userAgent.length]).toEqual([2048, 256]);
  });

  test("refuses options that it does not know", () => {
    for (const options of [{ format: "xml" }, { to: "" }, { sample: "some" }, { fields: [] }]) {
      expect(accessLog.options.safeParse(options).success).toBe(false);
    }
  });
});
