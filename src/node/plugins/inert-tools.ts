/** Tools for a filter that is created only to see that it can be: nothing is sent, opened, counted or called back. */

import type { Clock, Random } from "../../machine.ts";
import { NodeMemory } from "../../runtime/node-memory/index.ts";
import { privateMemory } from "../../runtime/node-memory/private-memory.ts";
import { createTools, FilterMemory, type FilterTools, type ToolParts } from "../../runtime/tools.ts";
import type { Log, Meters } from "../../types.ts";

const nothing = (): void => {};
const never = <Value>(): Promise<Value> => new Promise(() => {});
const quiet: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export function inertTools(
  host: { readonly clock: Clock; readonly random: Random },
  owner: { readonly name: string; readonly options: unknown },
): FilterTools {
  const parts: ToolParts = {
    clock: { ...host.clock, after: () => nothing, every: () => nothing },
    random: host.random,
    log: quiet,
    meters: { count: nothing, observe: nothing } as unknown as Meters,
    sockets: { connect: () => nothing } as unknown as ToolParts["sockets"],
    memory: new FilterMemory(),
    // What nobody touches of it takes no memory.
    share: new NodeMemory(privateMemory(), host.random).share(0),
    open: () => ({ line: nothing, dropped: 0 }),
    fetch: never,
    call: never,
  };
  return createTools(parts, { ...owner, id: owner.name, scope: "" });
}
