/** Puts together what is in a mesh: a sidecar, alone or around a command, and a gateway. */
import type {
  Certificates,
  Clock,
  Files,
  OpenPrivateFolder,
  Random,
  SecureFetch,
  Terminal,
} from "../../machine.ts";
import type { Probe } from "../../runtime/probe.ts";
import type { Appender } from "../../types.ts";
import { Companion, type CompanionParts } from "../companion.ts";
import type { ConfigSource } from "../config-source.ts";
import { createLog } from "../log.ts";
import type { TryFilters } from "../plugins/filters-trial.ts";
import { Registry } from "../service-watch/registry.ts";
import { CoordinatorClient } from "./coordinator-client.ts";
import { Gateway } from "./gateway.ts";
import { ownAddress, type Routes } from "./own-address.ts";
import { Sidecar } from "./sidecar.ts";
import { type ReadSidecar, tokenFinder } from "./sidecar-arguments.ts";

/** What any node in a mesh needs of the machine. */
export interface MeshStartParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Pick<Files, "read">;
  readonly certificates: Certificates;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly openFolder: OpenPrivateFolder;
  readonly fetch: SecureFetch;
  readonly stderr: Appender;
  readonly tryFilters: TryFilters;
  readonly pid: number;
}

export interface SidecarStartParts extends MeshStartParts {
  readonly probe: Probe;
  readonly terminal: Terminal;
  readonly startCommand: CompanionParts["start"];
  readonly routes: Routes;
}

export interface SidecarStart {
  readonly read: ReadSidecar;
  readonly given: { readonly token: string | null; readonly tokenFile: string | null };
  /** Null for a sidecar alone. */
  readonly command: readonly string[] | null;
}

const httpsPort = 443;
/** Loaded when a key is needed: a node outside a mesh needs none. */
const makeKey = async () => (await import("../../certificate-request.ts")).requestCertificate();

/** `file`: where its configuration comes from, with or without a `mesh` block. */
export function startGateway(parts: MeshStartParts, file: ConfigSource) {
  const { environment, files, stderr, pid } = parts;
  const log = createLog((line) => stderr.line(line), { process: "supervisor", pid });
  const gateway = new Gateway(
    {
      ...parts,
      log,
      registry: new Registry(),
      makeKey,
      client: (coordinators) => new CoordinatorClient(parts, coordinators),
      tokenOf: (tokenFile) =>
        tokenFinder({ token: null, tokenFile }, environment, (path) => files.read(path)),
      configureLog: (settings) => log.configure(settings),
    },
    file,
  );
  return { source: gateway, membership: gateway, companion: null };
}

export function startSidecar(parts: SidecarStartParts, { read, given, command }: SidecarStart) {
  const { clock, environment, files, stderr, pid, terminal, startCommand } = parts;
  const { coordinators } = read;
  const log = createLog((line) => stderr.line(line), { process: "supervisor", pid });
  log.configure(read.role.log);
  const coordinator = new URL(coordinators[0]!);
  const sidecar = new Sidecar(
    {
      ...parts,
      log,
      registry: new Registry(),
      makeKey,
      coordinator: new CoordinatorClient(parts, coordinators),
      ownAddress: (listensOn) =>
        ownAddress(
          parts.routes,
          {
            host: coordinator.hostname.replace(/^\[|\]$/g, ""),
            port: coordinator.port === "" ? httpsPort : Number(coordinator.port),
          },
          listensOn,
        ),
      findToken: tokenFinder(given, environment, (path) => files.read(path)),
    },
    read,
  );
  const companion =
    command === null
      ? null
      : new Companion(
          {
            ...{ clock, environment, variables: read.variables, start: startCommand },
            terminal: terminal.interactive.error ? "shared" : "none",
            error: (text) => terminal.error(text),
          },
          command,
        );
  return { source: sidecar, membership: sidecar, companion };
}
