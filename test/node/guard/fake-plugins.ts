/** Plugins that no worker ever loads. */
import type { PluginCode } from "../../../src/filter-lookup.ts";
import type { ServingPlugin } from "../../../src/node/guard/plugin-versions.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import { snapshot } from "../fake-worker.ts";

export function code(version: string, name = "./tenant.ts"): PluginCode {
  return { name, version, source: { kind: "bundle", text: `// ${version}`, imports: [] } };
}

export function snapshotWith(plugins: readonly PluginCode[], version = 1): Snapshot {
  return { ...snapshot(version), plugins, workerMemoryBytes: 100 * 2 ** 20 };
}

export function serving(version: string, more: Partial<ServingPlugin> = {}): ServingPlugin {
  return { name: "./tenant.ts", version, sinceMs: 0, changed: "yes", former: "a", ...more };
}
