import { directFetch, secureFetch } from "./fetch/bun.ts";
import type { Host } from "./host.ts";
import { bunModules } from "./modules/bun.ts";
import { bunProcesses } from "./processes/bun.ts";
import { nobody } from "./service-manager/node.ts";
import { bunSockets } from "./sockets/bun.ts";

export const bunHost: Host = {
  name: `Bun ${Bun.version}`,
  sockets: bunSockets,
  modules: bunModules,
  userCode: async (provided) => (await import("./modules/bun-code.ts")).bunUserCode(provided),
  processes: bunProcesses,
  createSharedMemory: async (sizeBytes) =>
    (await import("./shared-memory/bun.ts")).createSharedMemory(sizeBytes),
  inheritSharedMemory: async (sizeBytes) =>
    (await import("./shared-memory/bun.ts")).inheritSharedMemory(sizeBytes),
  directFetch,
  database: async () => (await import("./database/node.ts")).openDatabase,
  secureFetch,
  serviceManager: async (path) =>
    path === undefined ? nobody : (await import("./service-manager/bun.ts")).serviceManager(path),
  pluginKit: async () => (await import("./plugin-kit/bun.ts")).bunPluginKit,
  openPrivateFolder: async (path) => (await import("./files/private-folder.ts")).openPrivateFolder(path),
  // Only a supervisor needs it, and it loads the foreign function interface.
  tryBind: async (address) => (await import("./binding/bun.ts")).tryBind(address),
};
