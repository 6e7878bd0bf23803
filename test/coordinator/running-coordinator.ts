/** A coordinator over real sockets and TLS, with its own authority; time is real, or the test's. */

import { requestCertificate } from "../../src/certificate-request.ts";
import { defaultLimits } from "../../src/config/limits.ts";
import type { Documents } from "../../src/coordinator/api/parts.ts";
import { Coordinator } from "../../src/coordinator/coordinator.ts";
import { Authority } from "../../src/coordinator/identity/authority.ts";
import { Tokens } from "../../src/coordinator/identity/tokens.ts";
import { Refusal } from "../../src/coordinator/refusal.ts";
import { handshakeTimeoutMs } from "../../src/coordinator/start.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import type { Store } from "../../src/coordinator/store/store.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { host } from "../../src/host/index.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import type { Clock } from "../../src/machine.ts";
import type { Credentials, DocumentVersion, MeshService } from "../../src/mesh.ts";
import { type AppListener, serveApp } from "../../src/runtime/app-listener.ts";
import { Recorders } from "../../src/testing/recorders.ts";

export const trustDomain = "store.example";

/** Keeps documents, and checks nothing. */
export class KeptDocuments implements Documents {
  constructor(readonly store: Store) {}

  async apply(request: Parameters<Documents["apply"]>[0], by: string, how: "try" | "apply") {
    const current = (await this.store.currentVersion())?.version ?? 0;
    if (how === "apply") await this.keep(current + 1, by, request.checked?.config.services ?? []);
    return { version: current + (how === "apply" ? 1 : 0), difference: { changes: [] } };
  }

  async keep(version: number, by: string, services: readonly MeshService[]): Promise<void> {
    const kept: DocumentVersion = {
      version,
      appliedEpochMs: 1_700_000_000_000,
      by,
      restores: null,
      files: [],
      config: { trustDomain, egress: "allow", services, plugins: [] },
      resolved: {},
    };
    await this.store.appendVersion(kept);
  }

  rollback(): never {
    throw new Refusal("no-such-version", "the tests keep no versions to go back to");
  }

  async read() {
    return (await this.store.currentVersion())!;
  }

  list() {
    return this.store.listVersions(10);
  }
}

export interface OpenedCoordinator {
  readonly coordinator: Coordinator;
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly store: Store;
  readonly recorders: Recorders;
}

export async function openCoordinator(
  clock: Clock,
  store: Store = new MemoryStore(),
): Promise<OpenedCoordinator> {
  const recorders = new Recorders(() => {});
  const random = systemRandom();
  const { log } = recorders;
  const authority = await Authority.open({ store, clock, random, log, given: null });
  const { rootFingerprint } = authority;
  const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
  const documents = new KeptDocuments(store);
  const writeOperatorToken = async () => {};
  const parts = { clock, random, log, store, trustDomain, authority, tokens, documents, writeOperatorToken };
  return { coordinator: await Coordinator.open(parts), authority, tokens, store, recorders };
}

export interface ServedCoordinator {
  readonly listener: AppListener;
  readonly port: number;
  readonly url: string;
}

/** Over TLS, on a port of loopback: a free one for 0. */
export async function served(
  { coordinator, authority, recorders }: OpenedCoordinator,
  { wantedPort = 0, clock = systemClock }: { readonly wantedPort?: number; readonly clock?: Clock } = {},
): Promise<ServedCoordinator> {
  const server = await authority.issueServer({ dns: ["localhost"], addresses: ["127.0.0.1"] });
  const proof = { clientCa: authority.roots, clientAuth: "optional", trustDomain } as const;
  const tls = { ...server, ...proof, versionMin: "1.3" } as const;
  const listener = await serveApp(
    { sockets: host.sockets, clock, log: recorders.log },
    {
      name: "coordinator",
      address: { host: "127.0.0.1", port: wantedPort },
      limits: { ...defaultLimits, handshakeTimeoutMs },
      tls,
    },
    (request, env) => coordinator.app.fetch(request, env),
  );
  const { port } = listener.address as { port: number };
  return { listener, port, url: `https://localhost:${port}` };
}

/** Of a node that joined. */
export interface NodeCredentials extends Credentials {
  readonly key: string;
}

export async function issued({ authority }: OpenedCoordinator, service: string): Promise<NodeCredentials> {
  const { key, request } = await requestCertificate();
  const accepted = await authority.accept(request);
  const credentials = await authority.issue(accepted, { identity: { trustDomain, service }, node: null });
  return { ...credentials, key };
}
