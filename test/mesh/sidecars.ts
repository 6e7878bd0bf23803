/** Sidecars as real processes, each with a state folder of its own. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, freePorts } from "../free-ports.ts";
import { answers, program, type Running, start, until } from "../program.ts";

export interface SidecarWish {
  readonly service: string;
  /** Without it a command listens where PORT says. */
  readonly app?: number;
  readonly coordinator: string;
  readonly token?: string;
  readonly upstreams?: readonly string[];
  readonly version?: string;
  readonly state?: string;
  /** Where it is started; nobody tells it a state folder then. */
  readonly folder?: string;
  /** What stands in front of the program's own command, and becomes that. */
  readonly within?: readonly string[];
  readonly command?: readonly string[];
  readonly more?: readonly string[];
}

export interface StartedSidecar {
  readonly running: Running;
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
  readonly state: string;
  /** By service. */
  readonly upstreams: Readonly<Record<string, string>>;
}

export async function startSidecar(wish: SidecarWish): Promise<StartedSidecar> {
  const [inbound = 0, outbound = 0, admin = 0] = await freePorts(3);
  const { folder } = wish;
  const parent =
    folder === undefined ? mkdtempSync(join(tmpdir(), "clearway-sidecar-")) : join(folder, ".clearway");
  const state = wish.state ?? join(parent, wish.service);
  const upstreams: Record<string, string> = {};
  for (const name of wish.upstreams ?? []) upstreams[name] = `127.0.0.1:${await freePort()}`;
  const running = start(
    [
      ...(wish.within ?? []),
      ...program,
      wish.command === undefined ? "sidecar" : "exec",
      ...["--service", wish.service, ...(wish.app === undefined ? [] : ["--app", `127.0.0.1:${wish.app}`])],
      ...["--coordinator", wish.coordinator, ...(folder === undefined ? ["--state", state] : [])],
      ...["--inbound", `127.0.0.1:${inbound}`, "--outbound", `127.0.0.1:${outbound}`],
      ...["--admin", `127.0.0.1:${admin}`],
      ...(wish.version === undefined ? [] : ["--version", wish.version]),
      ...Object.entries(upstreams).flatMap(([name, address]) => ["--upstream", `${name}=${address}`]),
      ...(wish.more ?? []),
      ...(wish.command === undefined ? [] : ["--", ...wish.command]),
    ],
    {
      environment: wish.token === undefined ? {} : { CLEARWAY_JOIN_TOKEN: wish.token },
      ...(folder === undefined ? {} : { folder }),
    },
  );
  return { running, inbound, outbound, admin, state, upstreams };
}

export function ready({ admin, running }: StartedSidecar): Promise<void> {
  return answers(`http://127.0.0.1:${admin}/readyz`, running);
}

/** Until nothing is wrong with it either. */
export function well({ admin }: StartedSidecar): Promise<unknown> {
  const look = () =>
    fetch(`http://127.0.0.1:${admin}/readyz`).then(
      (response) => response.text(),
      () => "",
    );
  return until(look, (text) => text === "ready\n");
}
