/** Which nodes have a version of the mesh document live, a moment after it was applied. */
import type { Clock } from "../machine.ts";
import type { ListedNode } from "./listings.ts";
import type { OperatorCalls } from "./operator.ts";
import { counted, shortId } from "./table.ts";

/** Nodes switch within a second; one that is slow is named, not waited for. */
const patienceMs = 3_000;
const askEveryMs = 100;
const namedMax = 10;

/** For people; no line when no node is connected. Never rejects: what was applied is applied, seen or not. */
export async function liveLines(...given: Parameters<typeof awaitedLines>): Promise<string[]> {
  try {
    return await awaitedLines(...given);
  } catch (error) {
    return [`on how many nodes it is live is not known: ${(error as Error).message}`];
  }
}

async function awaitedLines(
  calls: OperatorCalls,
  { version }: { readonly version: number },
  { clock }: { readonly clock: Pick<Clock, "now" | "after"> },
): Promise<string[]> {
  const untilMs = clock.now() + patienceMs;
  for (;;) {
    const { nodes } = await calls.get<{ readonly nodes: readonly ListedNode[] }>("/v1/nodes");
    // Others get it when they return.
    const connected = nodes.filter(({ uses }) => uses !== null);
    const behind = connected.filter((node) => (node.version ?? 0) < version);
    // One that never said what it has will not say it now.
    const awaited = behind.filter((node) => node.version !== null);
    if (awaited.length === 0 || clock.now() >= untilMs) return linesOf(version, connected, behind);
    await new Promise<void>((resolve) => clock.after(askEveryMs, resolve));
  }
}

function linesOf(version: number, connected: readonly ListedNode[], behind: readonly ListedNode[]): string[] {
  if (connected.length === 0) return [];
  if (behind.length === 0) return [`live on all ${counted(connected.length, "connected node")}`];
  const names = behind.slice(0, namedMax).map(({ service, node, version: has }) => {
    return `${service}/${shortId(node)} (${has === null ? "said nothing yet" : `has ${has}`})`;
  });
  const more = behind.length > namedMax ? ` and ${behind.length - namedMax} more` : "";
  const live = `${connected.length - behind.length} of ${counted(connected.length, "connected node")}`;
  return [`live on ${live}; without version ${version}: ${names.join(", ")}${more}`];
}
