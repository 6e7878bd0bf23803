/** A small coordinator on a real port: vouches for whoever has a token, counts on leases, and feeds what a test says. */
import "reflect-metadata";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { defaultLimits } from "../../../src/config/limits.ts";
import { fingerprints } from "../../../src/coordinator-client/root-fingerprint.ts";
import type { PluginCode } from "../../../src/filter-lookup.ts";
import { systemClock } from "../../../src/host/clock/node.ts";
import { bunSockets } from "../../../src/host/sockets/bun.ts";
import type { FeedMessage, FeedRequest, Instance, LeaseRequest, MeshService } from "../../../src/mesh.ts";
import { type AppBindings, type AppListener, serveApp } from "../../../src/runtime/app-listener.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { Authority } from "../../certificates.ts";

export const trustDomain = "store.example";

interface Subscriber {
  readonly request: FeedRequest;
  write(text: string): void;
}

export class HttpsCoordinator {
  port = 0;
  readonly leases: LeaseRequest[] = [];
  readonly bodies: { path: string; body: unknown; identity: string | null }[] = [];
  /** By service. */
  readonly rules = new Map<string, MeshService>();
  readonly instances = new Map<string, Map<string, Instance>>();
  /** Code that the document brings, by service. */
  readonly plugins = new Map<string, readonly PluginCode[]>();
  version = 1;
  lifeMs = 3_600_000;
  /** Until then it knows nothing of a lease that it was told of, and does not answer. */
  delay: (lease: LeaseRequest) => Promise<void> = async () => {};
  /** Until then it tells nobody what a lease changed, and answers all the same. */
  silence: Promise<void> = Promise.resolve();
  readonly #authority: Authority;
  readonly #intermediate: Authority;
  readonly #subscribers = new Set<Subscriber>();
  #listener: AppListener | null = null;
  /** By node the ids of its instances. */
  readonly #nodes = new Map<string, readonly string[]>();
  #tag = 0;

  private constructor(authority: Authority, intermediate: Authority) {
    this.#authority = authority;
    this.#intermediate = intermediate;
  }

  static async make(): Promise<HttpsCoordinator> {
    const authority = await Authority.make("CN=mesh root");
    return new HttpsCoordinator(authority, await authority.authority("CN=mesh intermediate"));
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get roots(): string {
    return this.#authority.certificate;
  }

  async token(service: string): Promise<string> {
    const [{ fingerprint } = { fingerprint: "" }] = await fingerprints(this.roots);
    const payload = Buffer.from(JSON.stringify({ root: fingerprint, service })).toString("base64url");
    return `head.${payload}.signature`;
  }

  async start(port = 0): Promise<void> {
    const own = await this.#intermediate.issue({ names: ["coordinator.mesh"] });
    const tls = {
      certificate: own.certificate + this.#intermediate.certificate,
      key: own.key,
      clientCa: this.roots,
      clientAuth: "optional" as const,
      versionMin: "1.2" as const,
    };
    const { log } = new Recorders(() => {});
    this.#listener = await serveApp(
      { sockets: bunSockets, clock: systemClock, log },
      { name: "coordinator", address: { host: "127.0.0.1", port }, limits: defaultLimits, tls },
      (request, env) => this.#answer(request, env),
    );
    this.port = (this.#listener.address as { port: number }).port;
  }

  async stop(): Promise<void> {
    await this.#listener?.drain(0);
    this.#listener = null;
    this.#subscribers.clear();
  }

  /** To everybody who listens, everything of the services that they use. */
  publish(): void {
    for (const subscriber of this.#subscribers) this.#tell(subscriber);
  }

  register(...instances: Instance[]): void {
    for (const instance of instances) {
      const known = this.instances.get(instance.service) ?? new Map();
      this.instances.set(instance.service, known.set(instance.id, instance));
    }
    this.publish();
  }

  async #answer(request: Request, { identity }: AppBindings): Promise<Response> {
    const text = await request.text();
    const body = text === "" ? null : JSON.parse(text);
    const path = new URL(request.url).pathname;
    this.bodies.push({ path, body, identity });
    if (path === "/v1/root") return Response.json({ roots: this.roots, trustDomain });
    if (path === "/v1/join") {
      const { service } = JSON.parse(Buffer.from(body.token.split(".")[1], "base64url").toString());
      if (service !== "nobody") return Response.json(await this.#vouch(service, body.request));
      const message = "this token was used: create another";
      return Response.json({ reason: "token-used-up", message }, { status: 403 });
    }
    if (identity === null) {
      return Response.json({ reason: "certificate-needed", message: "show a certificate" }, { status: 401 });
    }
    const service = identity.slice(identity.lastIndexOf("/") + 1);
    if (path === "/v1/certificate") return Response.json(await this.#vouch(service, body.request));
    if (path === "/v1/leases") {
      this.leases.push(body);
      await this.delay(body);
      this.#lease(service, body);
      return Response.json({ leaseMs: 10_000, renewEveryMs: 3_000 });
    }
    return new Response(this.#feed(body), { headers: { "content-type": "application/jsonl" } });
  }

  #lease(service: string, { node, instances }: LeaseRequest): void {
    const before = JSON.stringify([...(this.instances.get(service) ?? [])]);
    const known = this.instances.get(service) ?? new Map<string, Instance>();
    for (const id of this.#nodes.get(node) ?? []) known.delete(id);
    this.#nodes.set(
      node,
      instances.map(({ id }) => id),
    );
    for (const one of instances) known.set(one.id, one);
    this.instances.set(service, known);
    if (JSON.stringify([...known]) !== before) void this.silence.then(() => this.publish());
  }

  #feed(request: FeedRequest): ReadableStream<Uint8Array> {
    let subscriber: Subscriber;
    return new ReadableStream({
      start: (controller) => {
        subscriber = { request, write: (text) => controller.enqueue(Buffer.from(text)) };
        this.#subscribers.add(subscriber);
        this.#tell(subscriber);
      },
      cancel: () => void this.#subscribers.delete(subscriber),
    });
  }

  async #vouch(service: string, request: string) {
    const asked = new Pkcs10CertificateRequest(request);
    const identity = `spiffe://${trustDomain}/${service}`;
    const lifeDays = this.lifeMs / 86_400_000;
    const { certificate } = await this.#intermediate.issue({
      uris: [identity],
      names: [`${service}.mesh`],
      startsDays: -0.01,
      endsDays: lifeDays,
      publicKey: await asked.publicKey.export(),
    });
    return {
      certificate: certificate + this.#intermediate.certificate,
      roots: this.roots,
      trustDomain,
      identity,
      startsEpochMs: 0,
      expiresEpochMs: Date.now() + this.lifeMs,
    };
  }

  #tell({ request, write }: Subscriber): void {
    const tag = String(++this.#tag);
    const mesh: FeedMessage = { kind: "mesh", trustDomain, egress: "allow", removed: [], roots: this.roots };
    const lines: FeedMessage[] = [mesh];
    for (const service of request.services) {
      const rules = this.rules.get(service) ?? null;
      lines.push({
        kind: "rules",
        service,
        tag: `${this.version}`,
        rules,
        plugins: this.plugins.get(service) ?? [],
      });
      const list = [...(this.instances.get(service)?.values() ?? [])];
      lines.push({ kind: "instances", service, tag, instances: list });
    }
    lines.push({ kind: "live", version: this.version });
    write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}
