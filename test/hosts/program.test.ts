/** The real program on Node and on Deno: its verbs, what it cannot do there, and whom it believes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "../certificates.ts";
import { freePorts } from "../free-ports.ts";
import { answers, type Running, root, start, until } from "../program.ts";
import { asked, TlsCaller } from "../runtime/tls/tls-caller.ts";
import { denoPath, missingHost } from "./programs.ts";
import { programOn } from "./running.ts";

const hello = join(root, "examples/01-hello/clearway.yaml");
const folder = await mkdtemp(join(tmpdir(), "clearway-hosts-"));
afterAll(() => rm(folder, { recursive: true }));

for (const host of ["Node", "Deno"] as const) {
  const missing = missingHost(host);
  describe.skipIf(missing !== null)(missing ?? host, () => {
    let program: string[] = [];
    beforeAll(async () => {
      program = await programOn(host);
    });

    async function said(...args: string[]): Promise<{ code: number; output: string }> {
      const running = start([...program, ...args], { folder });
      return { code: await running.ended, output: running.output() };
    }

    test("check says what is right, and where it is wrong", async () => {
      expect(await said("check", "-c", hello)).toMatchObject({ code: 0 });
      await writeFile(join(folder, "wrong.yaml"), "listeners:\n  web: { bnd: 127.0.0.1:0 }\n");
      const wrong = await said("check", "-c", "wrong.yaml");
      expect(wrong.code).toBe(1);
      expect(wrong.output).toContain("wrong.yaml:2:10");
    });

    test("schema is that of every host", async () => {
      const { code, output } = await said("schema");
      expect(code).toBe(0);
      const onBun = start([process.execPath, join(root, "src/main.ts"), "schema"]);
      await onBun.ended;
      expect(JSON.parse(output)).toEqual(JSON.parse(onBun.output()));
    });

    test("what needs Bun says so in one line", async () => {
      for (const args of [["demo"], ["coordinator"], ["run", "-c", hello, "--workers", "2"]]) {
        const { code, output } = await said(...args);
        expect(code).toBe(1);
        expect(output).toStartWith(
          `clearway: ${args.filter((arg) => arg !== "-c" && arg !== hello).join(" ")} needs Bun`,
        );
        expect(output.trimEnd().split("\n")).toHaveLength(1);
      }
    });

    test("run refuses a mesh block, at its line", async () => {
      const [port = 0] = await freePorts(1);
      const mesh = "mesh: { coordinator: https://127.0.0.1:1, service: edge }";
      const text = `listeners:\n  web:\n    bind: 127.0.0.1:${port}\n    routes: [{ match: { path: /* }, to: payments }]\n${mesh}\nservices: { payments: {} }\n`;
      await writeFile(join(folder, "mesh.yaml"), text);
      const { code, output } = await said("run", "-c", "mesh.yaml");
      expect(code).toBe(1);
      expect(output).toContain("mesh.yaml:5");
      expect(output).toContain(`cannot join a mesh: that needs Bun, and this is ${host}`);
    });

    test("SIGUSR2 replaces the worker by one that listens on its port before it stops", async () => {
      const [port = 0, adminPort = 0] = await freePorts(2);
      const environment = { PORT: String(port), ADMIN_PORT: String(adminPort) };
      const gateway = start([...program, "run", "-c", hello], { environment });
      try {
        await answers(`http://127.0.0.1:${adminPort}/readyz`, gateway);
        await until(gateway.output, (output) => output.includes(" serves "));
        gateway.signal("SIGUSR2");
        await until(gateway.output, (output) => output.includes("all workers are replaced"));
        await answers(`http://127.0.0.1:${port}/`, gateway);
      } finally {
        expect(await gateway.stop()).toBe(0);
      }
    });

    test("a file of the user's own is tried and serves, anew after a save, and what is wrong with it has its line", async () => {
      const own = await startWithOwnFilter(program, host === "Node" ? "own.mjs" : "own.ts");
      try {
        expect(await own.header()).toBe("first true");
        await own.save("second");
        await until(own.header, (seen) => seen === "second true");
        await own.save("`; throw new Error(`no luck`); `");
        await until(own.gateway.output, (output) => output.includes("keeps serving"));
        expect(own.gateway.output()).toContain(
          `${own.name}:4:25 listeners.web.filters[0]: cannot use the filter`,
        );
        await own.save("`; await new Promise(() => {}); `");
        await until(own.gateway.output, (output) => output.includes("ing it took longer than 5 s"));
        expect(await own.header()).toBe("second true");
      } finally {
        await own.gateway.stop();
      }
    });

    test("run with clientCa serves whom it believes, again after a resumed handshake, and nobody else", async () => {
      const gateway = await startSecured(program);
      try {
        const { port, ours, rogue, ca } = gateway;
        for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
          const of = { servername: "shop.example", ca, minVersion: version, maxVersion: version };
          const known = { ...of, cert: ours.certificate, key: ours.key };
          const foreign = { ...of, cert: rogue.certificate, key: rogue.key };
          expect([version, await asked(port, known)]).toEqual([version, 200]);
          expect([version, await asked(port, foreign)]).toEqual([version, null]);
          expect([version, await asked(port, of)]).toEqual([version, null]);
          const first = await TlsCaller.open(port, known);
          await first.exchange("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
          const session = first.tls.getSession() ?? first.sessions.at(-1);
          first.close();
          if (session === undefined) continue;
          expect([version, await asked(port, { ...known, session })]).toEqual([version, 200]);
        }
        expect(await gateway.running.stop()).toBe(0);
        expect(gateway.running.output()).toContain("its certificate is not believed");
      } finally {
        await gateway.running.stop();
      }
    });
  });
}

test.skipIf(missingHost("Deno") !== null)("deno task start serves the first example, on Deno", async () => {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const environment = { PORT: String(port), ADMIN_PORT: String(adminPort) };
  const task = start([denoPath, "task", "start"], { environment });
  try {
    await answers(`http://127.0.0.1:${port}/`, task);
    expect(task.output()).toContain("examples/01-hello/clearway.yaml");
  } finally {
    await task.stop();
  }
});

test.skipIf(missingHost("Deno") !== null)(
  "deno task check finds the types right, as Deno reads them",
  async () => {
    const task = start([denoPath, "task", "check"]);
    expect([await task.ended, task.output()]).toEqual([0, expect.stringContaining("src/main.ts")]);
  },
);

async function startWithOwnFilter(program: readonly string[], name: string) {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const save = (value: string) =>
    writeFile(
      join(folder, name),
      `import { defineFilter, z } from "clearway/plugin";
import { cors } from "hono/cors";
import { z as own } from "zod";
const value = \`${value}\` + (z === own && typeof cors() === "function" ? " true" : " false");
export default defineFilter({
  name: "own",
  summary: "",
  options: z.strictObject({ header: z.string() }),
  middleware: ({ header }) => async (c, next) => { await next(); c.header(header, value); },
});
`,
    );
  await save("first");
  await writeFile(
    join(folder, "own.yaml"),
    `admin: 127.0.0.1:${adminPort}
listeners:
  web:
    bind: 127.0.0.1:${port}
    filters: [./${name}: { header: x-own }]
    routes: [{ match: { path: /* }, respond: { status: 200, body: hello } }]
`,
  );
  const gateway = start([...program, "run", "-c", "own.yaml"], { folder });
  await answers(`http://127.0.0.1:${adminPort}/readyz`, gateway);
  await until(gateway.output, (output) => output.includes(" serves "));
  const header = async () => (await fetch(`http://127.0.0.1:${port}/`)).headers.get("x-own");
  return { name, save, gateway, header };
}

async function startSecured(program: readonly string[]) {
  const [authority, other] = [await Authority.make(), await Authority.make()];
  const [shown, ours, rogue] = [
    await authority.issue({ names: ["shop.example"] }),
    await authority.issue({ names: ["storefront.example"] }),
    await other.issue({ names: ["storefront.example"] }),
  ];
  const [port = 0, adminPort = 0] = await freePorts(2);
  const files = {
    "shop.pem": shown.certificate,
    "shop.key": shown.key,
    "ca.pem": authority.certificate,
    "clearway.yaml": `admin: 127.0.0.1:${adminPort}
listeners:
  web:
    bind: 127.0.0.1:${port}
    protocol: https
    tls: [{ certificate: shop.pem, key: shop.key, clientCa: ca.pem }]
    routes:
      - match: { path: / }
        respond: { status: 200, body: hello }
`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const running: Running = start([...program, "run", "-c", "clearway.yaml"], { folder });
  await answers(`http://127.0.0.1:${adminPort}/readyz`, running);
  await until(running.output, (output) => output.includes(" serves "));
  return { running, port, ours, rogue, ca: authority.certificate };
}
