/** Fetch to the outside, as each host has it: test/hosts/suites.ts runs this file on Node and on Deno too. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { host } from "../../src/host/index.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let answer: Answer = (_, response) => response.end("ok");
/** Request lines, in their order. */
let asked: string[] = [];
let url = "";
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  answer(request, response);
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});

beforeEach(() => {
  asked = [];
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("directFetch", () => {
  test("sends method, fields and body, and gives status, fields and body", async () => {
    answer = async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      response.writeHead(403, { "X-Got": `${request.headers["x-a"]} ${body}`, "Set-Cookie": ["a=1", "b=2"] });
      response.end("no");
    };
    const response = await host.directFetch(`${url}/p?q=1`, {
      method: "POST",
      headers: { "x-a": "1" },
      body: "hello",
    });
    expect([response.status, response.headers.get("x-got")]).toEqual([403, "1 hello"]);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await response.text()).toBe("no");
    expect(asked).toEqual(["POST /p?q=1"]);
  });

  test("follows no redirect", async () => {
    answer = (_, response) => response.writeHead(302, { location: `${url}/elsewhere` }).end();
    const response = await host.directFetch(`${url}/here`);
    expect([response.status, response.headers.get("location")]).toEqual([302, `${url}/elsewhere`]);
    expect(asked).toEqual(["GET /here"]);
  });

  test("obeys no proxy variable", async () => {
    answer = (_, response) => response.end("direct");
    const before = { ...process.env };
    // Nobody listens on port 1.
    for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]) process.env[name] = "http://127.0.0.1:1";
    for (const name of ["NO_PROXY", "no_proxy"]) delete process.env[name];
    try {
      expect(await (await host.directFetch(url)).text()).toBe("direct");
    } finally {
      for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy"]) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });

  test("gives answers without a body as such", async () => {
    answer = (_, response) => response.writeHead(204).end();
    expect(await (await host.directFetch(url)).text()).toBe("");
    answer = (_, response) => response.writeHead(200, { "content-length": "5" }).end();
    const head = await host.directFetch(url, { method: "HEAD" });
    expect([head.headers.get("content-length"), await head.text()]).toEqual(["5", ""]);
  });

  test("ends with its signal, and rejects when nobody listens", async () => {
    answer = () => {};
    const controller = new AbortController();
    const pending = host.directFetch(url, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(pending).rejects.toThrow();
    await expect(host.directFetch("http://127.0.0.1:1/")).rejects.toThrow();
  });
});
