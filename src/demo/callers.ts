/** Who called a service, as its sidecar proved: counted by the service itself, which trusts nobody else's word. */
import type { MiddlewareHandler } from "hono";

const identityHeader = "x-clearway-identity";
/** The store has five services; whoever else calls is one more line. */
const callersMax = 20;
const others = "others";

export class Callers {
  /** Requests by identity; those without one are `nobody`. */
  readonly counts = new Map<string, number>();

  note(identity: string | undefined): void {
    const caller = identity ?? "nobody";
    const name = this.counts.has(caller) || this.counts.size < callersMax ? caller : others;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** The sidecar's own health checks are no calls. */
export function countCallers(callers: Callers): MiddlewareHandler {
  return (c, next) => {
    if (c.req.path !== "/healthz") callers.note(c.req.header(identityHeader));
    return next();
  };
}
