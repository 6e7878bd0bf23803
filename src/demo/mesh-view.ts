/** What the coordinator and the nodes say of themselves. */
import type { Operator } from "./parts.ts";

type Fetch = (url: string) => Promise<Response>;

export async function isReady(adminUrl: string, fetch: Fetch): Promise<boolean> {
  return await fetch(`${adminUrl}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

/** The version of the mesh document that every node has live; null while some have another one, or it cannot be asked. */
export async function liveVersion(operator: Operator): Promise<number | null> {
  try {
    const { nodes } = await operator.get<{ nodes: { version: number | null }[] }>("/v1/nodes");
    const [first] = nodes;
    return first !== undefined && nodes.every(({ version }) => version === first.version)
      ? first.version
      : null;
  } catch {
    return null;
  }
}

/** Instances that get requests. */
export async function healthyInstances(operator: Operator): Promise<number> {
  try {
    const { instances } = await operator.get<{ instances: { state: string }[] }>("/v1/instances");
    return instances.filter(({ state }) => state === "healthy").length;
  } catch {
    return 0;
  }
}
