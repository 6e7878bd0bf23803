/** The instances of one service, each with its JSON text: made once, whoever it is compared with or sent to. */
import type { Instance } from "../../mesh.ts";
import { ContentTag } from "./content-tag.ts";

export interface RegisteredInstance {
  readonly instance: Instance;
  /** JSON, its fields in one order: equal texts are equal instances. */
  readonly text: string;
  /** The name of the node that registered it. */
  readonly node: string;
}

export function registeredInstance(instance: Instance, node: string): RegisteredInstance {
  const { id, service, address, version, zone, weight, state } = instance;
  const where =
    "unixPath" in address ? { unixPath: address.unixPath } : { host: address.host, port: address.port };
  const plain: Instance = { id, service, address: where, version, zone, weight, state };
  return { instance: plain, text: JSON.stringify(plain), node };
}

export class ServiceInstances {
  readonly #byId = new Map<string, RegisteredInstance>();
  readonly #tag = new ContentTag();

  get size(): number {
    return this.#byId.size;
  }

  /** The same whenever the instances are. */
  get tag(): string {
    return this.#tag.toString();
  }

  get(id: string): RegisteredInstance | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<RegisteredInstance> {
    return this.#byId.values();
  }

  put(registered: RegisteredInstance): void {
    const { id } = registered.instance;
    const before = this.#byId.get(id);
    if (before !== undefined) this.#tag.remove(before.text);
    this.#byId.set(id, registered);
    this.#tag.add(registered.text);
  }

  delete(id: string): void {
    const before = this.#byId.get(id);
    if (before === undefined) return;
    this.#byId.delete(id);
    this.#tag.remove(before.text);
  }
}
