/** All workloads, in the order of a run and of its summary. */
import type { Workload } from "./workload.ts";
import { balance } from "./workloads/balance.ts";
import { chain } from "./workloads/chain.ts";
import { connections } from "./workloads/connections.ts";
import { coordinator } from "./workloads/coordinator.ts";
import { http1 } from "./workloads/http1.ts";
import { kill } from "./workloads/kill.ts";
import { latency } from "./workloads/latency.ts";
import { limits } from "./workloads/limits.ts";
import { memory } from "./workloads/memory.ts";
import { mesh } from "./workloads/mesh.ts";
import { pluginReload } from "./workloads/plugin-reload.ts";
import { reload } from "./workloads/reload.ts";
import { retry } from "./workloads/retry.ts";
import { routes } from "./workloads/routes.ts";
import { soak } from "./workloads/soak.ts";
import { start } from "./workloads/start.ts";
import { tls } from "./workloads/tls.ts";
import { workers } from "./workloads/workers.ts";

export const workloads = [
  http1,
  tls,
  mesh,
  coordinator,
  chain,
  latency,
  start,
  memory,
  connections,
  reload,
  pluginReload,
  routes,
  balance,
  retry,
  limits,
  workers,
  kill,
  soak,
] as readonly Workload<object>[];
