/** Neither Node nor Deno can send a datagram to a unix socket: their service is of a kind that says nothing. */
import type { ServiceManager } from "../../machine.ts";

export const nobody: ServiceManager = { notify() {} };
