import { directFetch } from "./fetch/bun.ts";
import type { Host } from "./host.ts";
import { bunProcesses } from "./processes/bun.ts";
import { bunSockets } from "./sockets/bun.ts";

export const bunHost: Host = {
  name: `Bun ${Bun.version}`,
  sockets: bunSockets,
  processes: bunProcesses,
  directFetch,
  // Only a supervisor needs it, and it loads the foreign function interface.
  tryBind: async (address) => (await import("./binding/bun.ts")).tryBind(address),
};
