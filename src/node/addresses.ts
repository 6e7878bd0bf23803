/** Listening addresses as a node sees them: whether they are free, and how to say that they are not. */

import type { Address } from "../machine.ts";
import type { Problem, Snapshot, SourcePlace } from "../snapshot.ts";

export interface Binding {
  readonly address: Address;
  /** Where the config names it, e.g. `listeners.web.bind`. */
  readonly path: string;
  readonly place: SourcePlace;
}

export interface RefusedBinding extends Binding {
  /** e.g. `the address is in use` */
  readonly reason: string;
}

/** `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/clearway.sock` */
export function addressText(address: Address): string {
  if ("unixPath" in address) return `unix:${address.unixPath}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Empty for a path. */
export function hostOf(address: Address): string {
  return "unixPath" in address ? "" : address.host;
}

/** An address as a URL, when it is one. */
export function listenerText(address: string, scheme: "http" | "https"): string {
  return address.startsWith("unix:") ? address : `${scheme}://${address}`;
}

export function bindingProblem({ address, path, place, reason }: RefusedBinding): Problem {
  return plainProblem(`cannot listen on ${addressText(address)}: ${reason}`, place, path);
}

/** One that no text of the file explains. */
export function plainProblem(message: string, { file, line }: SourcePlace, path = ""): Problem {
  return { file, line, column: 1, path, message, hints: [], excerpt: null };
}

/** Binds an address alone and releases it; returns it as bound. Rejects as `Sockets.listen` does. */
export type TryBind = (address: Address) => Promise<Address>;

/**
 * Tries each address that the node does not hold yet. Workers share their addresses (SO_REUSEPORT), so without this
 * a second node on the same port would quietly take half of the connections.
 */
export async function refusedBindings(
  tryBind: TryBind,
  wanted: readonly Binding[],
  held: readonly Address[],
): Promise<RefusedBinding[]> {
  const refused: RefusedBinding[] = [];
  for (const binding of wanted) {
    if (held.some((address) => overlaps(address, binding.address))) continue;
    try {
      await tryBind(binding.address);
    } catch (error) {
      refused.push({ ...binding, reason: listenFailure(error) });
    }
  }
  return refused;
}

/** Choices of a port that a node remembers: more than any config has listeners. */
const chosenMax = 10_000;

/**
 * Where the config says port 0, the system chooses one: once, since all workers, and those that take their places, must
 * listen on the same.
 */
export class ChosenPorts {
  readonly #tryBind: TryBind;
  readonly #chosen = new Map<string, Address>();

  constructor(tryBind: TryBind) {
    this.#tryBind = tryBind;
  }

  /** The snapshot with ports in place of zeros; with the zero where there is none to be had. */
  async settle(snapshot: Snapshot): Promise<Snapshot> {
    const listeners = await Promise.all(
      snapshot.listeners.map(async (listener) => {
        const { name, bind } = listener;
        if ("unixPath" in bind || bind.port !== 0) return listener;
        return { ...listener, bind: await this.#choice(`${name} ${addressText(bind)}`, bind) };
      }),
    );
    return { ...snapshot, listeners };
  }

  async #choice(key: string, bind: Address): Promise<Address> {
    const known = this.#chosen.get(key);
    if (known !== undefined) return known;
    const chosen = await this.#tryBind(bind).catch(() => bind);
    if (chosen !== bind && this.#chosen.size < chosenMax) this.#chosen.set(key, chosen);
    return chosen;
  }
}

/** In words, for a failed `Sockets.listen`. */
export function listenFailure(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return reasons.get(code ?? "") ?? message ?? String(error);
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["EADDRINUSE", "the address is in use"],
  ["EADDRNOTAVAIL", "this machine has no such address"],
  ["EACCES", "not permitted (a port below 1024 needs a privilege, a socket file a writable folder)"],
  ["ENOTFOUND", "the host name has no address"],
  ["ENOENT", "the folder does not exist"],
]);

/** Whether holding one keeps this node itself from binding the other alone. */
function overlaps(left: Address, right: Address): boolean {
  if ("unixPath" in left || "unixPath" in right) return addressText(left) === addressText(right);
  if (left.port !== right.port) return false;
  return left.host === right.host || isWildcard(left.host) || isWildcard(right.host);
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
