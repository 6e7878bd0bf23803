/** Where hosts are that no service names: how a worker finds out. */
import type { ResolverConfig } from "../../snapshot.ts";

export interface HostNames {
  /** Never rejects. */
  find(name: string, resolver: ResolverConfig): Promise<FoundHost>;
  /** The addresses of this machine. */
  own(): Promise<readonly string[]>;
}

export interface FoundHost {
  readonly addresses: readonly string[];
  /** Why there is none; null when there is one. */
  readonly problem: string | null;
}

/** For who has no names to ask for: IP addresses are reached all the same. */
export const NO_NAMES: HostNames = {
  find: async (name) => ({ addresses: [], problem: `${name}: this process has nobody to ask for names` }),
  own: async () => [],
};
