/** Two nodes in a row with mTLS between them, as on a mesh: the caller's (outbound) and the service's (inbound). */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Authority } from "../test/certificates.ts";
import { proxyCores } from "./processes.ts";
import { makeFolder, type Subject, startSubject, stopSubject, type Variant } from "./variants.ts";

/** Of all rows: what nginx and BoringSSL both choose from what is offered may differ. */
const cipher = "TLS_AES_128_GCM_SHA256";
const listenWaitMs = 10_000;
const handshakeWaitMs = 5_000;

export type PairName = "nginx" | "envoy" | "envoy, HTTP/2" | "clearway" | "clearway, sidecars";

export interface PairKind {
  readonly name: PairName;
  readonly program: Variant;
  /** How many callers the service is told of: a sidecar believes no other what it says of its own. */
  readonly told: 1 | 2;
  /** Starts both on the proxy's core and waits until both listen. Rejects when one ended or took too long. */
  start(setting: PairSetting): Promise<Pair>;
}

/** Of programs that a config tells all that they need. */
export interface ConfiguredPair {
  /** In peers/. */
  readonly outbound: string;
  readonly inbound: string;
  readonly values: Readonly<Record<string, string>>;
}

export interface Pair {
  /** Where the load goes. */
  readonly outbound: Subject;
  readonly inbound: Subject;
  /** Of the two programs; their workers descend from them. */
  readonly pids: readonly number[];
  /** Both, and what else was started for them. */
  stop(): Promise<void>;
}

export interface PairSetting {
  readonly backendPort: number;
  /** A folder of `makeMeshCertificates`. */
  readonly certificates: string;
}

/** A folder with an authority, and a certificate and key of the caller's node and of the service's, all P-256. */
export async function makeMeshCertificates(): Promise<string> {
  const folder = makeFolder();
  const authority = await Authority.make("CN=bench");
  writeFileSync(join(folder, "ca.pem"), authority.certificate);
  for (const name of ["caller", "service"]) {
    const wish = { names: [`${name}.mesh`], uris: [`spiffe://bench.example/${name}`] };
    const { certificate, key } = await authority.issue(wish);
    writeFileSync(join(folder, `${name}.pem`), certificate);
    writeFileSync(join(folder, `${name}.key`), key);
  }
  return folder;
}

export function configured(name: PairName, program: Variant, files: ConfiguredPair): PairKind {
  return { name, program, told: 2, start: (setting) => startConfigured(program, files, setting) };
}

async function startConfigured(
  program: Variant,
  { outbound: near, inbound: far, values }: ConfiguredPair,
  { backendPort, certificates }: PairSetting,
): Promise<Pair> {
  const shared = { cores: proxyCores, values: { certificates, cipher, ...values } };
  const started: Subject[] = [];
  const stop = () => stopAll(started);
  try {
    const inbound = await startSubject(program, { ...shared, backendPort, template: far });
    started.unshift(inbound);
    await listening(inbound);
    const outbound = await startSubject(program, { ...shared, backendPort: inbound.port, template: near });
    started.unshift(outbound);
    await listening(outbound);
    return { outbound, inbound, pids: [outbound.running!.pid, inbound.running!.pid], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Each, also when one before it had to be killed; that is told at the end. */
export async function stopAll(subjects: readonly Subject[]): Promise<void> {
  const failures: unknown[] = [];
  for (const subject of subjects) await stopSubject(subject).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Not by a request: a node that cannot reach the other yet would remember that. */
export async function listening({ port, running }: Subject): Promise<void> {
  const deadline = performance.now() + listenWaitMs;
  while (!(await accepts(port))) {
    const exit = running?.exit() ?? null;
    if (exit !== null || performance.now() > deadline)
      throw new Error(`nothing listens on ${port}: ${exit ?? "too late"}\n${running?.log() ?? ""}`);
    await sleep(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/**
 * What a caller agrees on with the service's node: version and cipher. Throws an Error when one with a certificate is not
 * answered, or one without is. Null where nobody but the nodes has any.
 */
export async function checkMutualTls(
  { inbound }: Pick<Pair, "inbound">,
  keys: PairKeys | null,
): Promise<string> {
  const shown = keys === null ? {} : { cert: keys.certificate, key: keys.key };
  const { agreed, answer } = await askOnce(inbound.port, shown);
  if (keys !== null && !answer.includes(" 200 "))
    throw new Error(`a caller with a certificate was answered "${answer}"`);
  const stranger = await askOnce(inbound.port, {}).catch(() => null);
  if (stranger?.answer.includes(" 200 ")) throw new Error("a caller without a certificate was answered");
  return agreed;
}

/** Of the caller, PEM. */
export interface PairKeys {
  readonly certificate: string;
  readonly key: string;
}

interface Asked {
  /** Version and cipher; empty when there was no handshake. */
  readonly agreed: string;
  /** The status line, or nothing. */
  readonly answer: string;
}

function askOnce(port: number, shown: { readonly cert?: string; readonly key?: string }): Promise<Asked> {
  // HTTP/1.1 also where the two nodes speak HTTP/2: nothing is offered by ALPN.
  const to = { host: "127.0.0.1", port, servername: "service.mesh", rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...to, ...shown });
    let agreed = "";
    let received = "";
    socket.setTimeout(handshakeWaitMs, () => socket.destroy(new Error(`no answer from ${port}`)));
    socket.once("secureConnect", () => {
      agreed = `${socket.getProtocol()} ${socket.getCipher().name}`;
      socket.write("GET /small HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (!received.includes("\r\n")) return;
      resolve({ agreed, answer: received.slice(0, received.indexOf("\r\n")) });
      socket.end();
    });
    socket.once("error", reject);
    socket.once("close", () => resolve({ agreed, answer: "" }));
  });
}
