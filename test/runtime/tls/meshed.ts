/** A mesh for tests: its authority, certificates right and wrong, and listeners and services that ask for them. */
import { systemClock } from "../../../src/host/clock/node.ts";
import type { Clock } from "../../../src/machine.ts";
import type { ListenerConfig, MeshPlace, Snapshot } from "../../../src/snapshot.ts";
import type { FilterRegistry } from "../../../src/types.ts";
import { Authority, type CertificateWish, type Pair } from "../../certificates.ts";
import { type GatewayText, gateway, RunningProxy } from "../running-proxy.ts";
import { untilEnd } from "../setting.ts";
import { https } from "./secured.ts";

export const meshAuthority = await Authority.make("CN=store.example");
const otherAuthority = await Authority.make("CN=store.example");

export function identityOf(service: string): string {
  return `spiffe://store.example/${service}`;
}

/** As the coordinator issues them. */
export function wishOf(service: string): CertificateWish {
  return { subject: "", uris: [identityOf(service)], names: [`${service}.mesh`] };
}

export function memberOf(service: string, wish: Partial<CertificateWish> = {}): Promise<Pair> {
  return meshAuthority.issue({ ...wishOf(service), ...wish });
}

/** What is wrong with a certificate of `service`, and what the log of who refuses it says. */
export async function rogues(
  service: string,
): Promise<readonly (readonly [what: string, pair: Pair, words: string])[]> {
  const [uri] = wishOf(service).uris as [string];
  return [
    [
      "a certificate forged by another authority",
      await otherAuthority.issue(wishOf(service)),
      "is not believed",
    ],
    [
      "a certificate expired",
      await memberOf(service, { startsDays: -9, endsDays: -1 }),
      "certificate has expired",
    ],
    ["a certificate not valid yet", await memberOf(service, { startsDays: 1 }), "not yet valid"],
    [
      "a certificate of a foreign trust domain",
      await memberOf(service, { uris: [`spiffe://other.example/${service}`] }),
      "spiffe://other.example/",
    ],
    [
      "a certificate with two URIs",
      await memberOf(service, { uris: [uri, identityOf("admin")] }),
      "its certificate names 2 URIs: wanted exactly one",
    ],
    [
      "a certificate with an identity twice",
      await memberOf(service, { uris: [uri, uri] }),
      "its certificate names 2 URIs: wanted exactly one",
    ],
    ["a certificate of an authority", await memberOf(service, { isAuthority: true }), "is an authority's"],
    ["a certificate without a URI", await memberOf(service, { uris: [] }), "its certificate names 0 URIs"],
    ["a certificate with a deeper path", await memberOf(service, { uris: [`${uri}/admin`] }), `${uri}/admin`],
    ["a certificate with a query", await memberOf(service, { uris: [`${uri}?a`] }), `${uri}?a`],
    [
      "a certificate with a URI of another kind",
      await memberOf(service, { uris: ["https://store.example/"] }),
      "https://",
    ],
  ];
}

const payments = await memberOf("payments");
export const meshFiles: Readonly<Record<string, string>> = {
  "payments.pem": payments.certificate,
  "payments.key": payments.key,
  "mesh.pem": meshAuthority.certificate,
};
const entry = "{ certificate: payments.pem, key: payments.key, clientCa: mesh.pem }";

export interface MeshSetting extends Partial<GatewayText> {
  readonly callers?: ListenerConfig["callers"];
  readonly removed?: readonly string[];
  readonly clock?: Clock;
  readonly filters?: FilterRegistry;
}

/** A node beside the service `payments`; what it is told of its mesh can change. */
export interface MeshNode {
  readonly proxy: RunningProxy;
  apply(change: Pick<MeshSetting, "callers" | "removed" | "listener" | "route">): Promise<void>;
}

export async function meshNode(ports: readonly number[], setting: MeshSetting = {}): Promise<MeshNode> {
  const { clock = systemClock, listener = "", filters } = setting;
  let { callers = "mesh", removed = [] as readonly string[] } = setting;
  const mesh = (): MeshPlace => ({
    trustDomain: "store.example",
    identity: identityOf("payments"),
    removed,
  });
  const change = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    mesh: mesh(),
    listeners: snapshot.listeners.map((each) => ({ ...each, callers })),
  });
  const text = (more: string, route = setting.route ?? "") =>
    gateway({ ...setting, ports, route, listener: https([entry], more) });
  const options = { clock, change, files: meshFiles, ...(filters === undefined ? {} : { filters }) };
  const proxy = untilEnd(await RunningProxy.start(text(listener), options));
  return {
    proxy,
    apply: (wanted) => {
      ({ callers = callers, removed = removed } = wanted);
      return proxy.apply(text(wanted.listener ?? listener, wanted.route));
    },
  };
}
