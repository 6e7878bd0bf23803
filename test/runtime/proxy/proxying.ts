/** A listener that is its callers' proxy: one route to a service of the mesh, and hosts outside under decided names. */
import type { HostNames } from "../../../src/runtime/proxy/host-names.ts";
import type { ForwardProxyConfig, Snapshot } from "../../../src/snapshot.ts";
import type { GatewayText, ProxyOptions, RunningProxy } from "../running-proxy.ts";
import { proxyTo } from "../setting.ts";

/** Names lead to what `hosts` says; whoever asks is written down. */
export class DecidedHosts implements HostNames {
  readonly asked: string[] = [];

  constructor(
    readonly hosts: Readonly<Record<string, readonly string[]>>,
    readonly machine: readonly string[] = [],
  ) {}

  async find(name: string) {
    this.asked.push(name);
    const addresses = this.hosts[name] ?? [];
    return { addresses, problem: addresses.length > 0 ? null : `${name}: there is no such name` };
  }

  async own() {
    return this.machine;
  }
}

export interface ProxyingOptions extends ProxyOptions {
  readonly egress?: ForwardProxyConfig["egress"];
}

/** As the snapshot of a sidecar has it: `shop.mesh` leads to the service `shop`. */
export function asProxy(snapshot: Snapshot, egress: ForwardProxyConfig["egress"]): Snapshot {
  return {
    ...snapshot,
    listeners: snapshot.listeners.map((listener) => ({
      ...listener,
      proxy: { egress },
      routes: listener.routes.map((route) => ({ ...route, match: { ...route.match, host: "shop.mesh" } })),
    })),
  };
}

export function proxying(
  text: GatewayText,
  { egress = "allow", ...options }: ProxyingOptions = {},
): Promise<RunningProxy> {
  return proxyTo(text, { ...options, change: (snapshot) => asProxy(snapshot, egress) });
}
