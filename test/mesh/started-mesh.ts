/** A whole mesh on this machine: the real coordinator, real sidecars and the operator's verbs, each a process. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import type { ApplyAnswer } from "../../src/mesh.ts";
import type { OwnCredentials } from "../../src/node/mesh/node-state.ts";
import { documentOf } from "../config/mesh/loading.ts";
import { freePort } from "../free-ports.ts";
import { type Running, startClearway, until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { type SidecarWish, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

export interface Obeyed {
  readonly code: number;
  readonly output: string;
}

export interface Member {
  readonly app: App;
  readonly sidecar: StartedSidecar;
}

export interface MeshWish {
  /** Of the document, beside its services. */
  readonly root?: string;
  /** In the coordinator's folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Of the coordinator's command. */
  readonly more?: readonly string[];
}

/** What a caller was answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly reason: string | null;
  readonly headers: Headers;
}

export class StartedMesh {
  readonly folder: string;
  readonly bind: string;
  readonly url: string;
  readonly members: Member[] = [];
  coordinator: Running;
  #operator: OperatorClient | null = null;

  private constructor(
    folder: string,
    bind: string,
    private readonly more: readonly string[],
  ) {
    this.folder = folder;
    this.bind = bind;
    this.url = `https://${bind}`;
    this.coordinator = this.#coordinate();
  }

  /** `services`: YAML, indented by two. */
  static async start(services: string, { root = "", files = {}, more = [] }: MeshWish = {}) {
    const folder = mkdtempSync(join(tmpdir(), "clearway-mesh-"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, "mesh.yaml"), documentText(services, root));
    const mesh = new StartedMesh(folder, `127.0.0.1:${await freePort()}`, more);
    await mesh.coordinating();
    return mesh;
  }

  #coordinate(): Running {
    const { folder, bind, more } = this;
    return startClearway(["coordinator", "-c", "mesh.yaml", "--bind", bind, ...more], { folder });
  }

  async coordinating(): Promise<void> {
    await until(this.coordinator.output, (text) => text.includes("coordinates store.example"));
  }

  async startAgain(): Promise<void> {
    this.coordinator = this.#coordinate();
    await this.coordinating();
  }

  async obey(...args: readonly string[]): Promise<Obeyed> {
    const verb = startClearway([...args, "--coordinator", this.url], { folder: this.folder });
    return { code: await verb.ended, output: verb.output() };
  }

  /** By the operator's command, as a person does it. */
  apply(services: string, root = ""): Promise<Obeyed> {
    writeFileSync(join(this.folder, "mesh.yaml"), documentText(services, root));
    return this.obey("apply", "-f", "mesh.yaml");
  }

  /** What that command sends, without the time that a program takes to start. */
  async put(services: string, root = ""): Promise<ApplyAnswer> {
    const { files, config, resolved } = await documentOf(services, root);
    const body = { files, checked: { config, resolved }, base: null };
    return this.operator.put<ApplyAnswer>("/v1/document", body);
  }

  get operator(): OperatorClient {
    const token = () => readFileSync(join(this.folder, ".clearway/operator.token"), "utf8").trim();
    this.#operator ??= new OperatorClient(
      { clock: systemClock, fetch: secureFetch },
      { urls: [this.url], token: token() },
    );
    return this.#operator;
  }

  async token(service: string, ...more: readonly string[]): Promise<string> {
    const { output } = await this.obey("token", "create", "--service", service, ...more);
    return output.trim().split("\n").at(-1)!;
  }

  /** An app and its sidecar, which need not be ready yet. `name`: what the app calls itself. */
  async begin(service: string, wish: Partial<SidecarWish> & { readonly name?: string } = {}) {
    const app = await startApp(wish.name ?? service);
    const token = wish.token ?? (await this.token(service));
    const sidecar = await startSidecar({ service, app: app.port, coordinator: this.url, ...wish, token });
    const member: Member = { app, sidecar };
    this.members.push(member);
    return member;
  }

  async well(): Promise<void> {
    await Promise.all(this.members.map(({ sidecar }) => well(sidecar)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ sidecar }) => sidecar.running.stop()));
    await this.coordinator.stop();
    await Promise.all(this.members.map(({ app }) => app.close()));
    rmSync(this.folder, { recursive: true });
  }
}

export function documentText(services: string, root = ""): string {
  return `trustDomain: store.example\n${root}\nservices:\n${services}`;
}

/** One call of an app of `caller`'s host to the service, by its outbound port. */
export async function call(
  { outbound }: StartedSidecar,
  service: string,
  path = "/",
  init: RequestInit = {},
): Promise<Answer> {
  const headers = { ...(init.headers as Record<string, string> | undefined), host: `${service}.mesh` };
  const response = await fetch(`http://127.0.0.1:${outbound}${path}`, { ...init, headers });
  const reason = response.headers.get("x-clearway-reason");
  return { status: response.status, text: await response.text(), reason, headers: response.headers };
}

/** How long it took until a call was answered so; it is asked again at once. */
export async function timed(look: () => Promise<boolean>): Promise<number> {
  const startedAtMs = performance.now();
  await until(look, Boolean);
  return performance.now() - startedAtMs;
}

export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

/** What its node keeps in its state folder. */
export function credentialsOf({ state }: StartedSidecar): OwnCredentials {
  const { kept } = JSON.parse(readFileSync(join(state, "credentials.json"), "utf8")) as {
    kept: OwnCredentials;
  };
  return kept;
}
