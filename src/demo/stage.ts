/** The store with its mesh on this machine: the services, a sidecar beside each, the coordinator, the gateway. */
import { accounts } from "./accounts.ts";
import { gatewayConfig, meshDocument } from "./documents.ts";
import { type InstanceName, type Member, members, sidecarArguments, tokenFile } from "./members.ts";
import { healthyInstances, isReady } from "./mesh-view.ts";
import type { DemoParts, DemoProcess, Operator } from "./parts.ts";
import { type Pause, wait } from "./pause.ts";
import { products } from "./products.ts";
import { firstSplit } from "./rehearsal.ts";
import { openStore, type Store } from "./store.ts";

const startTimeoutMs = 30_000;
const lookEveryMs = 50;

/** All that runs while the demo does. */
export interface Stage {
  readonly gatewayUrl: string;
  readonly gatewayAdminUrl: string;
  readonly coordinatorUrl: string;
  readonly documentPath: string;
  readonly members: readonly Member[];
  readonly store: Store;
  readonly operator: Operator;
  readonly sidecars: ReadonlyMap<InstanceName, DemoProcess>;
  readonly gateway: DemoProcess;
  readonly coordinator: DemoProcess;
}

/** Where a process says why it did not start. */
export class StartFailure extends Error {}

/** Whatever was begun is in `processes`, also when it rejects, with a StartFailure for people. */
export async function openStage(
  parts: DemoParts,
  pause: Pause,
  begun: { store: Store | null; readonly processes: DemoProcess[] },
): Promise<Stage> {
  const { folder } = parts;
  const everybody = await members((preferred) => parts.freePort(preferred));
  const store = await openStore({ ...parts, pause }, everybody);
  begun.store = store;
  const start = (name: string, args: readonly string[]) => {
    const process = parts.start(args, logPath(parts, name));
    begun.processes.push(process);
    return process;
  };
  const documentPath = `${folder}/mesh.yaml`;
  await parts.writeFile(documentPath, meshDocument(firstSplit));
  const address = `127.0.0.1:${await parts.freePort(9800)}`;
  const coordinatorUrl = `https://${address}`;
  const coordinator = start("coordinator", ["coordinator", "-c", "mesh.yaml", "--watch", "--bind", address]);
  const operator = await operatorOf(parts, coordinatorUrl, coordinator);
  await writeTokens(parts, operator, everybody);
  const port = await parts.freePort(8080);
  const adminPort = await parts.freePort(9900);
  const plan = {
    port,
    adminPort,
    accessLog: `${folder}/access.log`,
    coordinatorUrl,
    tokenFile: tokenFile("gateway"),
  };
  await parts.writeFile(`${folder}/gateway.yaml`, gatewayConfig(plan));
  const sidecars = new Map(
    everybody.map((member) => {
      const args = sidecarArguments(member, store.get(member.name)!.port, coordinatorUrl);
      return [member.name, start(member.name, args)] as const;
    }),
  );
  const gateway = start("gateway", ["run", "-c", "gateway.yaml"]);
  const gatewayAdminUrl = `http://127.0.0.1:${adminPort}`;
  await untilReady(parts, "gateway", { process: gateway, adminUrl: gatewayAdminUrl });
  for (const { name, ports } of everybody) {
    await untilReady(parts, name, { process: sidecars.get(name)!, adminUrl: adminUrlOf(ports.admin) });
  }
  await until(parts, async () => (await healthyInstances(operator)) === everybody.length, {
    process: coordinator,
    says: `not every instance was registered: ${logPath(parts, "coordinator")} says more`,
  });
  const gatewayUrl = `http://127.0.0.1:${port}`;
  await until(parts, () => callsArrive(parts, gatewayUrl), {
    process: gateway,
    says: `calls do not reach every service: ${logPath(parts, "gateway")} says more`,
  });
  const urls = { gatewayUrl, gatewayAdminUrl, coordinatorUrl };
  return { ...urls, documentPath, members: everybody, store, operator, sidecars, gateway, coordinator };
}

/** Those who call know of an instance a moment after the coordinator does. */
async function callsArrive({ fetch }: DemoParts, gatewayUrl: string): Promise<boolean> {
  const order = { account: accounts[0]!.id, sku: products[0]!.sku };
  const headers = { "content-type": "application/json" };
  const calls = [
    fetch(`${gatewayUrl}/api/accounts/${order.account}`),
    fetch(`${gatewayUrl}/api/products`),
    fetch(`${gatewayUrl}/checkout`, { method: "POST", headers, body: JSON.stringify(order) }),
  ];
  const answers = await Promise.allSettled(calls.map(async (call) => (await call).ok));
  return answers.every((answer) => answer.status === "fulfilled" && answer.value);
}

export function adminUrlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

export function logPath({ folder }: DemoParts, name: string): string {
  return `${folder}/${name}.log`;
}

async function operatorOf(parts: DemoParts, url: string, coordinator: DemoProcess): Promise<Operator> {
  let operator: Operator | null = null;
  const ask = async () => {
    try {
      const asked = await parts.operator(url);
      await asked.get("/v1/versions");
      operator = asked;
    } catch {
      return false;
    }
    return true;
  };
  await until(parts, ask, {
    process: coordinator,
    says: `the coordinator did not start: ${logPath(parts, "coordinator")} says why`,
  });
  return operator!;
}

/** One join token for each service, good for as many nodes as it has. */
async function writeTokens(
  parts: DemoParts,
  operator: Operator,
  everybody: readonly Member[],
): Promise<void> {
  const services = ["gateway", ...new Set(everybody.map(({ service }) => service))] as const;
  for (const service of services) {
    const uses = Math.max(1, everybody.filter((member) => member.service === service).length);
    const { token } = await operator.post<{ token: string }>("/v1/tokens", { service, uses });
    await parts.writeFile(`${parts.folder}/${tokenFile(service)}`, `${token}\n`);
  }
}

function untilReady(
  parts: DemoParts,
  name: string,
  { process, adminUrl }: { readonly process: DemoProcess; readonly adminUrl: string },
): Promise<void> {
  const says = `${name} did not start: ${logPath(parts, name)} says why`;
  return until(parts, () => isReady(adminUrl, parts.fetch), { process, says });
}

async function until(
  { clock }: DemoParts,
  isDone: () => Promise<boolean>,
  { process, says }: { readonly process: DemoProcess; readonly says: string },
): Promise<void> {
  const deadlineMs = clock.now() + startTimeoutMs;
  let ended = false;
  void process.ended.then(() => {
    ended = true;
  });
  while (!(await isDone())) {
    if (ended || clock.now() > deadlineMs) throw new StartFailure(says);
    await wait(clock, lookEveryMs);
  }
}
