/** Node and Deno, which offers Node's modules. */
import { tryBind } from "./binding/node.ts";
import { directFetch } from "./fetch/node.ts";
import type { Host } from "./host.ts";
import { nodeModules } from "./modules/node.ts";
import { nodeTooOld } from "./node-version.ts";
import { nodeProcesses } from "./processes/node.ts";
import { nobody } from "./service-manager/node.ts";
import { nodeSockets } from "./sockets/node.ts";

const tooOld = nodeTooOld(process.versions);
if (tooOld !== null) {
  // Before anything else of the program runs: it would fail somewhere, with a stack trace.
  process.stderr.write(`clearway: ${tooOld}\n`);
  process.exit(1);
}

export const nodeHost: Host = {
  name:
    process.versions.deno === undefined ? `Node ${process.versions.node}` : `Deno ${process.versions.deno}`,
  sockets: nodeSockets,
  modules: nodeModules,
  userCode: async (provided) => (await import("./modules/node-code.ts")).nodeUserCode(provided),
  processes: nodeProcesses,
  createSharedMemory: async () => null,
  inheritSharedMemory: async () => null,
  directFetch,
  database: null,
  secureFetch: null,
  serviceManager: async () => nobody,
  pluginKit: null,
  openPrivateFolder: null,
  tryBind,
};
