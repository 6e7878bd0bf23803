/** What a sidecar is told on its command line -> what it is, or what is wrong in one line. */
import { bindAddress, endpointAddress } from "../../config/address.ts";
import { deadline, meshServiceName, partName } from "../../config/grammar/values.ts";
import { usedServicesMax } from "../../config/limits.ts";
import { readCoordinatorUrls } from "../../coordinator-client/coordinator-urls.ts";
import type { Address } from "../../machine.ts";
import type { Snapshot } from "../../snapshot.ts";
import { addressText, type TryBind } from "../addresses.ts";
import type { FindToken } from "./credentials-keeper.ts";
import type { SidecarOptions } from "./sidecar.ts";
import type { Upstream } from "./sidecar-snapshot.ts";

/** As written; see cli/sidecar.ts. */
export interface WrittenSidecar {
  readonly service: string;
  /** Null: where PORT of the environment says. */
  readonly app: string | null;
  readonly coordinator: string;
  readonly version: string | null;
  readonly zone: string | null;
  readonly inbound: string;
  readonly outbound: string;
  readonly admin: string;
  readonly advertise: string | null;
  readonly upstreams: readonly string[];
  readonly state: string;
  readonly drain: string;
  readonly transparent: "yes" | "no";
  readonly plugins: "yes" | "no";
}

export interface ReadSidecar extends SidecarOptions {
  readonly coordinators: readonly string[];
  /** What the environment of its command gets besides. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface SidecarSurroundings {
  readonly format: Snapshot["log"]["format"];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly tryBind: TryBind;
}

/** A text quotes what is wrong and says what was wanted. */
export async function readSidecarRole(
  written: WrittenSidecar,
  surroundings: SidecarSurroundings,
): Promise<ReadSidecar | string> {
  try {
    return readSidecar(written, surroundings, await appOf(written.app, surroundings));
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * A command that nobody said an address of is told by PORT where to listen, as platforms that run web apps do
 * (12factor.net/port-binding).
 */
async function appOf(
  written: string | null,
  { environment, tryBind }: SidecarSurroundings,
): Promise<Pick<ReadSidecar, "variables"> & { readonly app: Address }> {
  if (written !== null) return { app: address("--app", written, endpointAddress()), variables: {} };
  const host = "127.0.0.1";
  const { PORT = "" } = environment;
  if (PORT === "") {
    const app = await tryBind({ host, port: 0 });
    return { app, variables: "unixPath" in app ? {} : { PORT: String(app.port) } };
  }
  const port = /^[1-9]\d{0,4}$/.test(PORT) ? Number(PORT) : 0;
  if (port >= 1 && port <= 65_535) return { app: { host, port }, variables: {} };
  const wanted = "wanted a port from 1 to 65535, where the command listens; or say --app HOST:PORT";
  throw new Error(`cannot read ${JSON.stringify(PORT)} in PORT: ${wanted}`);
}

function readSidecar(
  written: WrittenSidecar,
  { format }: SidecarSurroundings,
  { app, variables }: Awaited<ReturnType<typeof appOf>>,
): ReadSidecar {
  if (written.transparent === "yes") {
    throw new Error(
      "--transparent comes later: until then call through --upstream ports, or NAME.mesh by --outbound",
    );
  }
  const { service, zone, state } = written;
  named(meshServiceName, { text: service, flag: "--service" });
  const inbound = address("--inbound", written.inbound, bindAddress());
  if ("unixPath" in inbound)
    throw new Error("--inbound cannot be a socket file: other machines have to reach it");
  const role = {
    service,
    app,
    inbound,
    outbound: address("--outbound", written.outbound, bindAddress()),
    admin: address("--admin", written.admin, bindAddress()),
    zone: zone === null ? null : named(partName, { text: zone, flag: "--zone" }),
    upstreams: written.upstreams.map(upstream),
    drainMs: drainTime(written.drain),
    log: { level: "info" as const, format },
  };
  demandDifferent(role);
  return {
    role,
    state,
    plugins: written.plugins,
    version: written.version === null ? null : named(partName, { text: written.version, flag: "--version" }),
    advertised: written.advertise === null ? null : advertised(written.advertise),
    coordinators: readCoordinatorUrls(written.coordinator),
    variables,
  };
}

/** What the command line gives goes before the environment. */
export function tokenFinder(
  given: { readonly token: string | null; readonly tokenFile: string | null },
  environment: Readonly<Record<string, string | undefined>>,
  read: (path: string) => Promise<string>,
): FindToken {
  return async () => {
    const { token, tokenFile } = given;
    if (token !== null) return token.trim();
    if (tokenFile === null) return environment.CLEARWAY_JOIN_TOKEN?.trim() || null;
    let text: string;
    try {
      text = await read(tokenFile);
    } catch (error) {
      const { code, message } = error as Error & { readonly code?: string };
      const why = code === "ENOENT" ? "there is no such file" : message;
      throw new Error(`cannot read the join token from ${tokenFile}: ${why} (--token-file)`);
    }
    // `clearway token create` prints it on its last line.
    const last = text.trim().split("\n").at(-1) ?? "";
    if (last === "") throw new Error(`there is no join token in ${tokenFile} (--token-file): it is empty`);
    return last.trim();
  };
}

function address(flag: string, text: string, type: ReturnType<typeof bindAddress>): Address {
  const read = type.safeParse(text);
  if (read.success) return read.data;
  throw new Error(`cannot read ${JSON.stringify(text)} after ${flag}: ${read.error.issues[0]?.message}`);
}

function drainTime(text: string): number {
  const drain = deadline().safeParse(text);
  if (drain.success) return drain.data;
  throw new Error(`cannot read ${JSON.stringify(text)} after --drain: ${drain.error.issues[0]?.message}`);
}

/** As the mesh document and configs write them: what they cannot name nobody could choose. */
function named(form: typeof partName, { text, flag }: { text: string; flag: string }): string {
  const read = form.safeParse(text);
  if (read.success) return read.data;
  throw new Error(`cannot read ${JSON.stringify(text)} after ${flag}: ${read.error.issues[0]?.message}`);
}

function advertised(text: string): { readonly host: string; readonly port: number } {
  const read = address("--advertise", text, endpointAddress());
  if ("unixPath" in read)
    throw new Error("--advertise cannot be a socket file: other machines have to reach it");
  return read;
}

function upstream(text: string): Upstream {
  const equals = text.indexOf("=");
  if (equals === -1) {
    const wanted = "wanted SERVICE=HOST:PORT, such as payments=127.0.0.1:9101";
    throw new Error(`cannot read ${JSON.stringify(text)} after --upstream: ${wanted}`);
  }
  const service = named(meshServiceName, { text: text.slice(0, equals), flag: "--upstream" });
  return { service, bind: address("--upstream", text.slice(equals + 1), bindAddress()) };
}

/** Each service once, each address once. */
function demandDifferent({ inbound, outbound, upstreams }: SidecarOptions["role"]): void {
  if (upstreams.length > usedServicesMax) {
    throw new Error(`${upstreams.length} times --upstream: wanted at most ${usedServicesMax}`);
  }
  const taken = new Map([
    [addressText(inbound), "--inbound"],
    ...(addressText(outbound) === addressText(inbound)
      ? []
      : [[addressText(outbound), "--outbound"] as const]),
  ]);
  if (taken.size === 1 && !chosen(inbound))
    throw new Error(`--inbound and --outbound are both ${addressText(inbound)}`);
  const services = new Set<string>();
  for (const { service, bind } of upstreams) {
    if (services.has(service))
      throw new Error(`--upstream ${service} is given twice: wanted each service once`);
    services.add(service);
    const other = taken.get(addressText(bind));
    if (other !== undefined && !chosen(bind)) {
      throw new Error(
        `--upstream ${service} and ${other} are both ${addressText(bind)}: wanted another port`,
      );
    }
    taken.set(addressText(bind), `--upstream ${service}`);
  }
}

/** Port 0: the system chooses a port for each. */
function chosen(bind: Address): boolean {
  return !("unixPath" in bind) && bind.port === 0;
}
