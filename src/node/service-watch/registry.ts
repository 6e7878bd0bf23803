/** What the mesh's registry says of services, as far as this node heard; whoever has the mesh's feed tells it. */
import type { InstanceState } from "../../mesh.ts";
import type { EndpointConfig } from "../../snapshot.ts";

export interface RegisteredEndpoint {
  readonly config: EndpointConfig;
  readonly state: InstanceState;
}

export class Registry {
  readonly #services = new Map<string, readonly RegisteredEndpoint[]>();
  readonly #followers = new Map<string, Set<() => void>>();

  /** All instances that the service has from now on. */
  set(service: string, endpoints: readonly RegisteredEndpoint[]): void {
    this.#services.set(service, endpoints);
    this.#tell(service);
  }

  /** Nothing is heard of it any more. */
  forget(service: string): void {
    if (this.#services.delete(service)) this.#tell(service);
  }

  /** Null while nothing was heard of it. */
  endpoints(service: string): readonly RegisteredEndpoint[] | null {
    return this.#services.get(service) ?? null;
  }

  /** Returns how to end it. */
  follow(service: string, changed: () => void): () => void {
    const followers = this.#followers.get(service) ?? new Set();
    this.#followers.set(service, followers.add(changed));
    return () => {
      followers.delete(changed);
      if (followers.size === 0 && this.#followers.get(service) === followers) this.#followers.delete(service);
    };
  }

  #tell(service: string): void {
    for (const changed of this.#followers.get(service) ?? []) changed();
  }
}
