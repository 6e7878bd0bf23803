/** A node's place in a mesh, as its supervisor sees it. */
import type { Problem, ServiceState, Snapshot } from "../snapshot.ts";
import type { MeshStatus } from "./mesh/mesh-status.ts";
import type { Registry } from "./service-watch/registry.ts";

export interface Membership {
  /** What the mesh says of where services are. */
  readonly registry: Registry;
  /** This one is live, with the ports that the system chose; called for each. */
  serves(snapshot: Snapshot): void;
  /** What the node found out about its services; complete each time. */
  observed(states: readonly ServiceState[]): void;
  /**
   * Callers asked for services that the snapshot has not, their names in lower case. Resolves with those that the mesh has
   * not; for the others a snapshot with their routes follows.
   */
  find(services: readonly string[]): Promise<readonly string[]>;
  /** Of what the mesh says and this node refuses; empty while it uses the newest. */
  problems(): readonly Problem[];
  /** Null while it is in no mesh. */
  status(): MeshStatus | null;
  /** What is wrong although the node serves, in words. */
  warnings(): readonly string[];
  /** What whoever started the node is told of it, one line each. */
  notes(): readonly string[];
  /** By which others of the mesh call this node; null while nobody does. */
  readonly inboundListener: string | null;
  /** Has those who call this node be told to call it no more. Resolves when they were, or `timeoutMs` later. */
  leave(timeoutMs: number): Promise<"told" | "not told">;
  /** The node serves nothing any more. */
  close(): Promise<void>;
}
