/** A listener whose callers are to go elsewhere, before it refuses them. */

/**
 * `keep`: as ever. `close`: every answer says `connection: close` (RFC 9112 section 9.6), and who comes again is served.
 * `refuse`: no connection is accepted any more, those without a request close, what is under way ends. From one to a
 * later one, never back.
 */
export type LeavingStage = "keep" | "close" | "refuse";

export interface Callers {
  /** Requests that came since the listener was bound. */
  readonly requests: number;
  /** Connections with a request, or that may bring one; a tunnel brings none. */
  readonly connections: number;
}

/** Of several listeners, or workers, together. */
export function allCallers(parts: readonly Callers[]): Callers {
  const sum = (of: (part: Callers) => number) => parts.reduce((total, part) => total + of(part), 0);
  return { requests: sum(({ requests }) => requests), connections: sum(({ connections }) => connections) };
}
