import { expect, test } from "bun:test";
import fc from "fast-check";
import { gatherMs } from "../../../src/coordinator/feed/feed.ts";
import type { InstanceState } from "../../../src/mesh.ts";
import { instance, meshService } from "../mesh-documents.ts";
import { FedRegistry, fedMesh } from "./fed-registry.ts";
import { ListeningNode } from "./listening-node.ts";

const names = ["storefront", "accounts", "payments"] as const;
const service = fc.constantFrom(...names);
const state = fc.constantFrom<InstanceState>("healthy", "unhealthy", "draining");
const at = fc.nat({ max: 2 });

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("lease" as const),
      service,
      node: at,
      instances: fc.uniqueArray(fc.record({ id: fc.nat({ max: 3 }), state }), { selector: ({ id }) => id }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(10, 50, 4000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("document" as const),
      services: fc.uniqueArray(service),
      timeoutMs: fc.constantFrom(1, 2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ what: fc.constant("read" as const), listener: at }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("connect" as const), listener: at }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant("break" as const),
      listener: at,
      noticed: fc.constantFrom("at once" as const, "not yet" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("removed" as const), removed: service }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

class World extends FedRegistry {
  readonly listeners = names.map(
    (name, index) => new ListeningNode(`l${index}`, name, names.slice(0, index + 1)),
  );
  version = 0;
  timeouts = new Map<string, number>();
  removed: string[] = [];

  async take(done: Step): Promise<void> {
    const listener = "listener" in done ? this.listeners[done.listener]! : null;
    if (done.what === "lease") {
      const instances = done.instances.map(({ id, state }) =>
        instance(`${done.service}${done.node}${id}`, done.service, { state }),
      );
      this.registry.renew(done.service, { node: `n${done.node}`, instances });
    } else if (done.what === "pass") this.clock.advance(done.ms);
    else if (done.what === "document") this.#apply(done.services, done.timeoutMs);
    else if (done.what === "read") await listener?.read();
    else if (done.what === "connect") listener?.connect(this.feed);
    else if (done.what === "break") listener?.disconnect(done.noticed);
    else if (done.what === "removed") {
      this.removed = [done.removed];
      this.feed.meshChanged({ ...fedMesh, removed: this.removed });
    }
  }

  #apply(services: readonly string[], timeoutMs: number): void {
    this.version += 1;
    this.timeouts = new Map(services.map((name) => [name, timeoutMs]));
    const rules = services.map((name) => meshService(name, { timeoutMs }));
    this.feed.documentChanged(this.version, { services: rules, plugins: [] });
  }

  async settle(): Promise<void> {
    this.clock.advance(2 * gatherMs);
    for (const listener of this.listeners) {
      await listener.readAll();
      if (listener.connected) continue;
      listener.connect(this.feed);
      await listener.readAll();
    }
  }

  wanted(listener: ListeningNode) {
    const services = [...listener.services].sort().map((name) => {
      const instances = [...(this.registry.service(name)?.all() ?? [])].map((one) => one.instance);
      return { name, timeoutMs: this.timeouts.get(name) ?? null, instances: byId(instances) };
    });
    return { version: this.version, removed: this.removed, services };
  }

  has({ view }: ListeningNode) {
    const { version, mesh: facts, services } = view.knowledge!;
    const known = Object.entries(services).map(([name, { rules, instances }]) => ({
      name,
      timeoutMs: rules?.service?.caller.routes[0]?.timeoutMs ?? null,
      instances: byId(instances!.list),
    }));
    return { version, removed: facts.removed, services: known.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }
}

function byId<One extends { readonly id: string }>(list: readonly One[]): One[] {
  return [...list].sort((a, b) => (a.id < b.id ? -1 : 1));
}

test("whatever changes and whoever comes and goes: a node has exactly what the coordinator has", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), async (steps) => {
      const world = new World();
      for (const listener of world.listeners) listener.connect(world.feed);
      for (const one of steps) await world.take(one);
      await world.settle();
      for (const listener of world.listeners)
        expect(world.has(listener)).toEqual(world.wanted(listener) as never);
      world.feed.close();
      world.registry.close();
    }),
    { numRuns: 300 },
  );
});
