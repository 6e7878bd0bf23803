/** Who is there, for operators. */
import type { z } from "zod";
import type { Feed } from "../feed/feed.ts";
import type { Registry } from "../registry/registry.ts";
import type { nodesAnswer, servicesAnswer } from "./wire.ts";

/** JSON, put together from the texts that the registry has. */
export function instancesText(registry: Registry, only: string | null): string {
  const names = only === null ? registry.services() : [only];
  const texts = names.flatMap((name) =>
    [...(registry.service(name)?.all() ?? [])].map(
      ({ text, node }) => `${text.slice(0, -1)},"node":${JSON.stringify(node)}}`,
    ),
  );
  return `{"instances":[${texts.join(",")}]}`;
}

export function services(registry: Registry): z.infer<typeof servicesAnswer>["services"] {
  return registry.services().map((service) => {
    const states = [...(registry.service(service)?.all() ?? [])].map(({ instance }) => instance.state);
    const count = (wanted: string) => states.filter((state) => state === wanted).length;
    return { service, instances: states.length, healthy: count("healthy"), draining: count("draining") };
  });
}

type ListedNode = z.infer<typeof nodesAnswer>["nodes"][number];

export function nodes(registry: Registry, feed: Feed): readonly ListedNode[] {
  const byName = new Map<string, ListedNode>();
  for (const one of registry.nodes()) byName.set(`${one.service}/${one.node}`, { ...one, uses: null });
  for (const { caller, services: uses } of feed.subscribers()) {
    const key = `${caller.service}/${caller.node}`;
    const known = byName.get(key) ?? { ...caller, instances: 0, leaseLeftMs: null, version: null };
    byName.set(key, { ...known, uses: [...uses] });
  }
  return [...byName].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, node]) => node);
}
