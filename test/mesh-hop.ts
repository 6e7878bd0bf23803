/** A hop of a mesh made of ordinary configs: callers, a node, mTLS, three nodes, the service; and what was lost on the way. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Running, start } from "../bench/processes.ts";
import { Authority } from "./certificates.ts";
import { freePort } from "./free-ports.ts";
import { program, until } from "./program.ts";

export const smallBody = "a small body of some bytes\n";
/** What the service does before it answers, so that requests are under way whenever something happens. */
const workMs = 3;

export interface HopNode {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly running: Running;
}

/** What the service saw. */
export interface Seen {
  requests: number;
  /** Times that a POST with this id was begun. */
  readonly begun: Map<string, number>;
}

export interface Hop {
  readonly folder: string;
  readonly authority: Authority;
  readonly callers: HopNode;
  readonly services: readonly HopNode[];
  readonly seen: Seen;
  stop(): Promise<void>;
}

/** `filters`: of the callers' node, as YAML; `foreign`: nodes of the service, from the last, that believe another authority. */
export interface HopWish {
  readonly filters: string;
  readonly foreign?: number;
  /** Of the service at the callers' node, as YAML. */
  readonly more?: string;
}

const servicesCount = 3;

export async function startHop({ filters, foreign = 0, more = "" }: HopWish): Promise<Hop> {
  const folder = mkdtempSync(join(tmpdir(), "clearway-hop-"));
  const authority = await Authority.make("CN=mesh");
  const stranger = await Authority.make("CN=another mesh");
  writeFileSync(join(folder, "ca.pem"), authority.certificate);
  writeFileSync(join(folder, "foreign.pem"), stranger.certificate);
  for (const name of ["caller", "service"]) {
    const uris = [`spiffe://mesh.example/${name}`];
    const { certificate, key } = await authority.issue({ names: [`${name}.mesh`], uris });
    writeFileSync(join(folder, `${name}.pem`), certificate);
    writeFileSync(join(folder, `${name}.key`), key);
  }
  const seen: Seen = { requests: 0, begun: new Map() };
  const app = await startApp(seen);
  const appPort = (app.address() as AddressInfo).port;
  const services: HopNode[] = [];
  for (let index = 0; index < servicesCount; index++) {
    const clientCa = index >= servicesCount - foreign ? "foreign.pem" : "ca.pem";
    services.push(await startNode(folder, `service-${index}`, inbound(appPort, clientCa)));
  }
  const endpoints = services.map(({ port }) => `127.0.0.1:${port}`);
  const callers = await startNode(folder, "callers", outbound({ endpoints, filters, more }));
  return {
    ...{ folder, authority, callers, services, seen },
    async stop() {
      await Promise.all([callers, ...services].map(({ running }) => running.stop(1000)));
      app.close();
      app.closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function inbound(appPort: number, clientCa: string): string {
  return `    protocol: https
    tls: [{ certificate: service.pem, key: service.key, clientCa: ${clientCa}, minVersion: 1.3 }]
    routes: [{ match: { path: /* }, to: app }]
services:
  app: { endpoints: ["127.0.0.1:${appPort}"] }
`;
}

function outbound({ endpoints, filters, more }: Omit<HopWish, "foreign"> & { endpoints: string[] }): string {
  return `    routes: [{ match: { path: /* }, filters: ${filters}, to: app }]
services:
  app:
    endpoints: ${JSON.stringify(endpoints)}
    tls: { ca: ca.pem, certificate: caller.pem, key: caller.key, serverName: service.mesh }
    outlierDetection: {}
${more}`;
}

async function startNode(folder: string, name: string, rest: string): Promise<HopNode> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, `${name}.yaml`);
  writeFileSync(
    file,
    `admin: 127.0.0.1:${adminPort}\nlisteners:\n  all:\n    bind: 127.0.0.1:${port}\n${rest}`,
  );
  const command = [...program, "run", "-c", file];
  const running = start({ name, command, cores: null, folder });
  await until(
    () =>
      fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
        ({ ok }) => ok || running.exit(),
        () => running.exit(),
      ),
    (ready) => {
      if (typeof ready === "string") throw new Error(`${name}: ${ready}\n${running.log()}`);
      return ready === true;
    },
  );
  return { name, port, adminPort, running };
}

async function startApp(seen: Seen): Promise<Server> {
  const app = createServer((request, response) => {
    seen.requests++;
    const { "x-id": id } = request.headers;
    if (typeof id === "string") seen.begun.set(id, (seen.begun.get(id) ?? 0) + 1);
    request.resume();
    request.once("end", () => setTimeout(() => response.end(smallBody), workMs));
  });
  app.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  return app;
}

export interface Posted {
  readonly succeeded: number;
  /** Status and reason, or why there was no answer; and how often the service began it. */
  readonly failures: readonly { readonly why: string; readonly begun: number }[];
  /** Answered well, but begun more than once. */
  readonly repeated: number;
}

/** Callers that send one small POST after the other, each with an id of its own. */
export function keepPosting(hop: Hop, callers: number): { stop(): Promise<Posted> } {
  let stopped = false;
  let succeeded = 0;
  let last = 0;
  const failed: { id: string; why: string }[] = [];
  const post = async (id: string) => {
    const body = "x".repeat(1024);
    const sent = { method: "POST", body, headers: { "x-id": id } };
    try {
      const answer = await fetch(`http://127.0.0.1:${hop.callers.port}/post`, sent);
      const text = await answer.text();
      if (answer.status === 200 && text === smallBody) succeeded++;
      else failed.push({ id, why: `${answer.status} ${answer.headers.get("x-clearway-reason")}` });
    } catch (error) {
      failed.push({ id, why: String(error) });
    }
  };
  const loop = async () => {
    while (!stopped) await post(`${++last}`);
  };
  const loops = Array.from({ length: callers }, loop);
  return {
    async stop() {
      stopped = true;
      await Promise.all(loops);
      // What was given up may still reach the service.
      await sleep(50);
      const { begun } = hop.seen;
      const bad = new Set(failed.map(({ id }) => id));
      const repeated = [...begun].filter(([id, times]) => times > 1 && !bad.has(id)).length;
      return {
        ...{ succeeded, repeated },
        failures: failed.map(({ id, why }) => ({ why, begun: begun.get(id) ?? 0 })),
      };
    },
  };
}

/** The sum of a counter's series that have these labels. */
export async function counted({ adminPort }: HopNode, name: string, labels = ""): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
