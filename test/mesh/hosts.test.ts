/** Three hosts: a call, a kill, a partition, a rejoin; whatever happens, every answer is the right one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program, type Running, root, until } from "../program.ts";
import { type Host, type Hosts, hostsMissing, makeHosts } from "./hosts.ts";

const document = `trustDomain: store.example
services:
  storefront:
    allow: []
  payments:
    allow: [{ from: storefront, method: GET }]
    outlierDetection: { ejection: 2s }
    retry: { attempts: 3, perTry: 500ms, when: [connect-failure, refused, reset, timeout, 503] }
`;
const coordinatorUrl = "https://10.77.0.1:9800";
const missing = hostsMissing();

let hosts: Hosts;
let first: Host;
let second: Host;
let third: Host;
let folder: string;
let caller: Running;
const running: Running[] = [];

const keep = (started: Running): Running => {
  running.push(started);
  return started;
};

const clearway = (host: Host, ...args: readonly string[]) =>
  host.start([...program, ...args], { folder, environment: {} });

async function output(started: Running): Promise<string> {
  expect({ code: await started.ended, output: started.output() }).toMatchObject({ code: 0 });
  return started.output();
}

async function token(service: string): Promise<string> {
  const printed = await output(
    clearway(first, "token", "create", "--service", service, "--uses", "2", "--coordinator", coordinatorUrl),
  );
  return printed.trimEnd().split("\n").at(-1) ?? "";
}

/** The instances that the coordinator would tell callers, by where they are. */
async function registered(): Promise<string[]> {
  const printed = await output(
    clearway(first, "get", "instances", "payments", "-o", "json", "--coordinator", coordinatorUrl),
  );
  const { instances } = JSON.parse(printed) as { instances: { address: { host: string } }[] };
  return instances.map(({ address }) => address.host).sort();
}

/** As curl says it: 000 while nobody listens. */
async function statusOf(host: Host, url: string): Promise<string> {
  const asked = host.start(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]);
  await asked.ended;
  return asked.output();
}

function startSidecar(host: Host, service: string, more: readonly string[]): Running {
  const inbound = `${host.address}:4143`;
  const where = ["--app", "127.0.0.1:8080", "--inbound", inbound, "--admin", "127.0.0.1:9901"];
  const mesh = ["--service", service, "--coordinator", coordinatorUrl, "--state", join(folder, host.address)];
  return keep(clearway(host, "sidecar", ...mesh, ...where, ...more));
}

/** What all calls came to until now. */
function outcomes(): Record<string, number> {
  const lines = caller.output().split("\n");
  return JSON.parse(lines.at(-2) ?? "{}") as Record<string, number>;
}

/** Until so many more calls were answered by this instance. */
async function answeredBy(name: string, more: number): Promise<void> {
  const before = outcomes()[`200 ${name}`] ?? 0;
  await until(
    () => outcomes()[`200 ${name}`] ?? 0,
    (count) => count >= before + more,
  );
}

beforeAll(async () => {
  if (missing !== null) return;
  hosts = makeHosts(3);
  [first, second, third] = hosts.all as [Host, Host, Host];
  folder = mkdtempSync(join(tmpdir(), "clearway-hosts-"));
  writeFileSync(join(folder, "mesh.yaml"), document);
  const coordinator = keep(
    clearway(first, "coordinator", "-c", "mesh.yaml", "--bind", "10.77.0.1:9800", "--store", "memory"),
  );
  await until(coordinator.output, (text) => text.includes("coordinates store.example"));
  const [ofPayments, ofStorefront] = [await token("payments"), await token("storefront")];
  for (const [host, name] of [
    [second, "payments-1"],
    [third, "payments-2"],
  ] as const) {
    keep(host.start([process.execPath, join(root, "test/mesh/host-app.ts"), name, "8080"]));
    startSidecar(host, "payments", ["--token", ofPayments]);
  }
  const upstream = ["--upstream", "payments=127.0.0.1:9101"];
  startSidecar(first, "storefront", ["--token", ofStorefront, ...upstream]);
  await until(registered, (addresses) => addresses.length === 2);
  const url = "http://127.0.0.1:9101/charge";
  // Its own node was started last.
  await until(
    () => statusOf(first, url),
    (status) => status === "200",
  );
  caller = keep(first.start([process.execPath, join(root, "test/mesh/host-caller.ts"), url]));
}, 120_000);

afterAll(async () => {
  if (missing !== null) return;
  await Promise.all(running.reverse().map((started) => started.stop()));
  hosts.remove();
}, 60_000);

const name = "three hosts: a call, a kill, a partition and a rejoin, and no wrong answer";
test.skipIf(missing !== null)(
  missing ?? name,
  async () => {
    await answeredBy("payments-1", 20);
    await answeredBy("payments-2", 20);

    kill(running[2]!);
    await answeredBy("payments-2", 200);
    await until(registered, (addresses) => addresses.join() === third.address);
    // With its state it needs no token.
    running[2] = startSidecar(second, "payments", []);
    running.pop();
    await answeredBy("payments-1", 20);

    third.cut();
    await until(registered, (addresses) => addresses.join() === second.address);
    await answeredBy("payments-1", 200);
    // It goes on by itself, and says what it misses.
    const readiness = ["curl", "-s", "http://127.0.0.1:9901/readyz"];
    const ready = await output(third.start(readiness));
    expect(ready).toStartWith("ready");
    expect(ready).toContain("coordinator");

    third.connect();
    await until(registered, (addresses) => addresses.length === 2);
    await answeredBy("payments-2", 20);
    expect(Object.keys(outcomes()).sort()).toEqual(["200 payments-1", "200 payments-2"]);
  },
  120_000,
);

/** The node with all its processes, as a machine that loses power; `ip netns exec` became the program. */
function kill(node: Running): void {
  const children = Bun.spawnSync(["pgrep", "-P", `${node.pid}`])
    .stdout.toString()
    .split("\n");
  for (const pid of [`${node.pid}`, ...children].filter((each) => each !== "")) {
    process.kill(Number(pid), "SIGKILL");
  }
}
