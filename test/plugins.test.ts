/** The filters of plugins/, copied as a reader would, all of them on one node of the real program. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, root, startClearway, until } from "./program.ts";

const names = ["ab-test", "audit", "canary", "mask-cards", "tenant"];
const readme = await readFile(join(root, "plugins/README.md"), "utf8");

let folder: string;
let running: Running;
let url: string;
const services = ["orders", "orders-next"].map((name) =>
  Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { headers } = request;
      const told = { tenant: headers.get("x-tenant"), variant: headers.get("x-variant") };
      return Response.json({ name, card: "4111 1111 1111 1111", ...told });
    },
  }),
);

/** The README's own, at free ports; all callers are canaries. */
function configOf(web: number, admin: number): string {
  const [config = ""] = /(?<=```yaml\n).*?(?=```)/s.exec(readme) ?? [];
  const [orders, next] = services.map(({ port }) => `127.0.0.1:${port}`);
  return `admin: 127.0.0.1:${admin}\n${config}`
    .replace("0.0.0.0:8080", `127.0.0.1:${web}`)
    .replace("10.0.0.1:9000", orders!)
    .replace("10.0.0.2:9000", next!)
    .replace("percent: 5", "percent: 100")
    .replace("control: 90, green: 10", "control: 0, green: 10");
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-plugins-"));
  await mkdir(join(folder, "plugins"));
  for (const name of names)
    await copyFile(join(root, `plugins/${name}.ts`), join(folder, `plugins/${name}.ts`));
  const [web, admin] = (await freePorts(2)) as [number, number];
  url = `http://127.0.0.1:${web}`;
  await writeFile(join(folder, "clearway.yaml"), configOf(web, admin));
  running = startClearway(["run", "-c", "clearway.yaml"], { folder });
  await answers(`http://127.0.0.1:${admin}/readyz`, running);
});

afterAll(async () => {
  await running?.stop();
  await Promise.all(services.map((service) => service.stop(true)));
  await rm(folder, { recursive: true, force: true });
});

describe("plugins/", () => {
  test("are all in the README, each with its test", async () => {
    const files = [...new Bun.Glob("*.ts").scanSync({ cwd: join(root, "plugins") })].sort();
    expect(files).toEqual(names.flatMap((name) => [`${name}.test.ts`, `${name}.ts`]).sort());
    for (const name of names) {
      expect(readme).toContain(`[${name}.ts](${name}.ts)`);
      expect(readme).toContain(`./plugins/${name}.ts`);
    }
  });

  test("run on a node, all five, with nothing but the files beside the config", async () => {
    const answer = await fetch(`${url}/orders/7?token=secret`, {
      method: "POST",
      body: "{}",
      headers: { host: "globex.shop.example" },
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      name: "orders-next",
      card: "**** **** **** 1111",
      tenant: "globex",
      variant: "green",
    });
    const cookies = answer.headers.getSetCookie().map((cookie) => cookie.split("=")[0]!);
    expect(cookies.sort()).toEqual(["canary", "visitor"]);
    expect(answer.headers.get("x-variant")).toBe("green");
    const audit = await until(
      () => readFile(join(folder, "audit.jsonl"), "utf8").catch(() => ""),
      (text) => text.endsWith("\n"),
    );
    expect(JSON.parse(audit)).toMatchObject({
      method: "POST",
      path: "/orders/7",
      outcome: "done",
      service: "orders-next",
      requestId: answer.headers.get("x-request-id"),
    });
    expect(audit).not.toContain("secret");
  });

  test("refuse a host that is nobody's", async () => {
    const answer = await fetch(`${url}/`, { headers: { host: "elsewhere.example" } });
    expect([answer.status, answer.headers.get("x-clearway-reason")]).toEqual([404, "unknown-tenant"]);
  });
});
