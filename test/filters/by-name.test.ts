/** Hono's middlewares and a package's, through the real program: from its source, and built, beside no node_modules. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { writePackage } from "../packages.ts";
import { answers, type Running, root, start, until } from "../program.ts";

let folder: string;
let service: Server;
let binary: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-by-name-"));
  binary = join(folder, "clearway");
  const build = start([process.execPath, join(root, "build/binary.ts"), binary]);
  expect([await build.ended, build.output()]).toEqual([0, expect.stringContaining("MiB")]);
  await writePackage(folder, "greeting", {
    "index.js": `
      import { greet } from "./greet.js";
      export const named = (...words) => async (c, next) => {
        await next();
        c.header("x-greeting", greet(words) + c.req.param("name"));
      };
      export const throws = () => { throw new Error("wanted a greeting"); };
    `,
    "greet.js": "export const greet = (words) => words.join(' ') + ' ';",
  });
  await writeFile(join(folder, "password"), "wonder\n");
  service = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-type", "text/plain");
      // In two pieces, so that nobody knows its length beforehand.
      response.write("a line of text\n".repeat(100));
      response.end(`${request.method} ${request.url}\n`);
    });
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
}, 120_000);

const running: Running[] = [];
afterEach(() => Promise.all(running.splice(0).map((each) => each.stop())));
afterAll(async () => {
  service.closeAllConnections();
  service.close();
  await rm(folder, { recursive: true });
});

interface Ports {
  readonly port: number;
  readonly admin: number;
}

const config = ({ port, admin }: Ports, last: string) => `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:${port}
    filters:
      - hono/cors: { origin: https://shop.example }
      - hono/compress
    routes:
      - match: { path: /members/* }
        filters:
          - hono/basic-auth: { username: alice, password: file:password, realm: Members }
            id: members
            onError: open
        to: app
      - match: { path: /upload }
        filters: [hono/body-limit: { maxSize: 10 }]
        to: app
      - match: { path: /hello/:name }
        filters:
          - ${last}
        to: app
services:
  app: { endpoints: ["127.0.0.1:${(service.address() as AddressInfo).port}"] }
`;

async function startNode(program: readonly string[]): Promise<Ports & { readonly node: Running }> {
  const ports = { port: await freePort(), admin: await freePort() };
  const file = join(folder, "clearway.yaml");
  await writeFile(file, config(ports, "npm:greeting#named: [good, morning]"));
  const node = start([...program, "run", "-c", file], { folder: tmpdir() });
  running.push(node);
  await answers(`http://127.0.0.1:${ports.admin}/readyz`, node);
  return { ...ports, node };
}

const source = [process.execPath, join(root, "src/main.ts")];
const programs = [
  { name: "from source", command: () => source },
  { name: "built", command: () => [binary] },
];

for (const { name, command } of programs) {
  describe(`clearway ${name}`, () => {
    test("answers a preflight, and lets the site read", async () => {
      const { port } = await startNode(command());
      const headers = { origin: "https://shop.example", "access-control-request-method": "PUT" };
      const preflight = await fetch(`http://127.0.0.1:${port}/upload`, { method: "OPTIONS", headers });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-methods")).toContain("PUT");
      const plain = await fetch(`http://127.0.0.1:${port}/hello/bob`, { headers });
      expect(plain.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    });

    test("compresses an answer whose length nobody knows", async () => {
      const { port } = await startNode(command());
      const url = `http://127.0.0.1:${port}/hello/bob`;
      const answer = await fetch(url, { headers: { "accept-encoding": "gzip" } });
      expect(answer.headers.get("content-encoding")).toBe("gzip");
      expect(await answer.text()).toEndWith("GET /hello/bob\n");
      const asItIs = await fetch(url, { headers: { "accept-encoding": "identity" } });
      expect(asItIs.headers.get("content-encoding")).toBeNull();
    });

    test("refuses as Hono does, with a reason, whatever onError says", async () => {
      const { port, admin } = await startNode(command());
      const url = `http://127.0.0.1:${port}/members/list`;
      const refused = await fetch(url);
      expect([refused.status, await refused.text()]).toEqual([401, "Unauthorized"]);
      expect(refused.headers.get("www-authenticate")).toBe('Basic realm="Members"');
      expect(refused.headers.get("x-clearway-reason")).toBe("refused-by-filter");
      const alice = { authorization: `Basic ${btoa("alice:wonder")}` };
      const taken = await fetch(url, { headers: alice });
      expect([taken.status, taken.headers.get("x-clearway-reason")]).toEqual([200, null]);
      const large = await fetch(`http://127.0.0.1:${port}/upload`, { method: "POST", body: "x".repeat(11) });
      expect([large.status, await large.text()]).toEqual([413, "Payload Too Large"]);
      const small = await fetch(`http://127.0.0.1:${port}/upload`, { method: "POST", body: "x".repeat(10) });
      expect(small.status).toBe(200);
      const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      expect(metrics).toContain('status="401",reason="refused-by-filter"} 1');
    });

    test("runs a package's middleware, and shows no secret", async () => {
      const { port, admin } = await startNode(command());
      const answer = await fetch(`http://127.0.0.1:${port}/hello/b%C3%B6b`);
      expect(answer.headers.get("x-greeting")).toBe("good morning böb");
      const snapshot = await (await fetch(`http://127.0.0.1:${admin}/snapshot`)).text();
      expect(snapshot).toContain("npm:greeting#named");
      expect(snapshot).not.toContain("wonder");
    });

    test("keeps serving when a factory throws after a change, and says at which line", async () => {
      const { port, admin } = await startNode(command());
      const text = config({ port, admin }, "npm:greeting#throws");
      await writeFile(join(folder, "clearway.yaml"), text);
      const line = text.split("\n").findIndex((each) => each.includes("greeting")) + 1;
      const shown = await until(
        async () => (await fetch(`http://127.0.0.1:${admin}/problems`)).text(),
        (problems) => problems.includes("greeting"),
      );
      expect(JSON.parse(shown).problems).toMatchObject([
        { line, message: "cannot read nothing: npm:greeting#throws throws: wanted a greeting" },
      ]);
      const answer = await fetch(`http://127.0.0.1:${port}/hello/bob`);
      expect(answer.headers.get("x-greeting")).toBe("good morning bob");
    });
  });
}
