import type { Host } from "./host.ts";

/** The host that this program runs on, chosen here and nowhere else; a build for Node says that there is no `Bun`. */
export const host: Host =
  typeof Bun === "undefined" ? (await import("./node.ts")).nodeHost : (await import("./bun.ts")).bunHost;
