/** Who is in the store: every instance, where it listens, and how its sidecar is started. */

export type ServiceName = "storefront" | "accounts" | "products" | "payments";

/** The instances, in the order in which they are shown. */
export const cast = [
  { name: "storefront-1", service: "storefront", version: null, calls: ["accounts", "products", "payments"] },
  { name: "accounts-1", service: "accounts", version: null, calls: ["payments"] },
  { name: "accounts-2", service: "accounts", version: null, calls: [] },
  { name: "products-v1", service: "products", version: "v1", calls: ["payments"] },
  { name: "products-v2", service: "products", version: "v2", calls: [] },
  { name: "payments-1", service: "payments", version: null, calls: [] },
  { name: "payments-2", service: "payments", version: null, calls: [] },
] as const satisfies readonly CastMember[];

interface CastMember {
  readonly name: string;
  readonly service: ServiceName;
  readonly version: string | null;
  /** Services to which its sidecar has a local port. That accounts and products may call payments is what they try in vain. */
  readonly calls: readonly ServiceName[];
}

export type InstanceName = (typeof cast)[number]["name"];

/** The first instance has 4143 and 4140, as one that is alone has. */
const firstInbound = 4143;
const portsApart = 10;

export interface Member {
  readonly name: InstanceName;
  readonly service: ServiceName;
  readonly version: string | null;
  readonly ports: { readonly inbound: number; readonly outbound: number; readonly admin: number };
  /** By service the local port that leads there. */
  readonly upstreams: ReadonlyMap<ServiceName, number>;
}

export async function members(freePort: (preferred: number) => Promise<number>): Promise<readonly Member[]> {
  const all: Member[] = [];
  for (const [index, { name, service, version, calls }] of cast.entries()) {
    const inbound = firstInbound + index * portsApart;
    const ports = {
      inbound: await freePort(inbound),
      outbound: await freePort(inbound - 3),
      admin: await freePort(inbound + 1),
    };
    const upstreams = new Map<ServiceName, number>();
    for (const [at, called] of calls.entries()) upstreams.set(called, await freePort(inbound + 2 + at));
    all.push({ name, service, version, ports, upstreams });
  }
  return all;
}

export function sidecarArguments(member: Member, appPort: number, coordinatorUrl: string): readonly string[] {
  const { name, service, version, ports, upstreams } = member;
  const at = (port: number) => `127.0.0.1:${port}`;
  return [
    ...["sidecar", "--service", service, "--app", at(appPort), "--coordinator", coordinatorUrl],
    ...["--inbound", at(ports.inbound), "--outbound", at(ports.outbound), "--admin", at(ports.admin)],
    ...["--token-file", tokenFile(service), "--state", `.clearway/${name}`, "--drain", "5s"],
    ...(version === null ? [] : ["--version", version]),
    ...[...upstreams].flatMap(([called, port]) => ["--upstream", `${called}=${at(port)}`]),
  ];
}

/** In the demo's folder. */
export function tokenFile(service: ServiceName | "gateway"): string {
  return `${service}.token`;
}
