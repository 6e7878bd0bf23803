/**
 * The nouns of the mesh, types only: what a mesh document says once it is checked, what a node and its coordinator say
 * to each other, and what a coordinator keeps. Plain data, so that it can be stored and sent.
 */
import type { PluginCode } from "./filter-lookup.ts";
import type { Address } from "./machine.ts";
import type { FilterEntry, HealthCheckConfig, RouteConfig, ServiceConfig, SourcePlace } from "./snapshot.ts";

// ---- a mesh document, checked ----

/** What a mesh document says, every default filled in. */
export interface MeshConfig {
  /** The authority in every identity: `store.example` in `spiffe://store.example/payments`. */
  readonly trustDomain: string;
  /** Whether a node's callers may reach hosts that are not in the mesh. */
  readonly egress: "allow" | "deny";
  /** In the document's order. */
  readonly services: readonly MeshService[];
  /** The users' own filters that it names. */
  readonly plugins: readonly PluginCode[];
}

/** One service's whole story: what runs beside it, and what runs at those who call it. */
export interface MeshService {
  readonly name: string;
  /** Null for a service outside the mesh, which the document's endpoints or DNS name: no node stands beside it. */
  readonly callee: CalleeRules | null;
  readonly caller: CallerRules;
  readonly place: SourcePlace;
}

/** What the sidecar beside a service does. */
export interface CalleeRules {
  /** `permissive` takes callers without TLS too; they have no identity. */
  readonly mtls: "strict" | "permissive";
  /** In the order in which they run: the policy first. */
  readonly inbound: readonly FilterEntry[];
  /** Services that these filters may send to. */
  readonly others: readonly string[];
  /** What the sidecar asks its app; the answer is the instance's health in the registry. */
  readonly healthCheck: HealthCheckConfig | null;
}

/** What the nodes of those do that call a service. */
export interface CallerRules {
  /**
   * For a listener that serves this service alone: no hosts, the last one takes what is left; filters (fault, mirror,
   * retry, the document's own), time-out and split are in them.
   */
  readonly routes: readonly RouteConfig[];
  /** Balancing and limits. Its endpoints come from the registry, unless the service is outside the mesh. */
  readonly service: ServiceConfig;
  /** Services beside this one that its routes and their filters may send to, such as a mirror's. */
  readonly others: readonly string[];
}

// ---- who is where ----

/** One running copy of a service, as its node registers it. */
export interface Instance {
  /** Chosen by its node, unique in the mesh; a restart with the same state has the same one. */
  readonly id: string;
  readonly service: string;
  /** Of its node's inbound listener, as callers reach it. */
  readonly address: Address;
  readonly version: string | null;
  readonly zone: string | null;
  readonly weight: number;
  /** `draining` takes no further requests. */
  readonly state: InstanceState;
}

export type InstanceState = "healthy" | "unhealthy" | "draining";

// ---- what a node and its coordinator say; paths under /v1 ----

/** `POST /v1/join`: a node proves with a join token what it may be. */
export interface JoinRequest {
  readonly token: string;
  /** PKCS#10, PEM. Only its key counts: names come from the token. */
  readonly request: string;
  /** What it calls itself; for lists, it proves nothing. */
  readonly node?: string;
}

/** `POST /v1/certificate`: a node whose certificate still holds gets the next one. */
export interface RenewalRequest {
  readonly request: string;
  readonly node?: string;
}

/** What a node needs to be somebody: the answer to both. The private key never left the node. */
export interface Credentials {
  /** PEM: the leaf, then what leads to a root. */
  readonly certificate: string;
  /** PEM: who vouches for everybody in the mesh. */
  readonly roots: string;
  readonly trustDomain: string;
  /** `spiffe://<trust domain>/<service>` */
  readonly identity: string;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

/**
 * `POST /v1/leases`: all instances of one node; those that are new are registered, those that are gone removed. A node with
 * neither an instance nor a version has left. While one of them drains, the answer comes when all nodes that use the service
 * were told, or after a second.
 */
export interface LeaseRequest {
  readonly node: string;
  /** Of the mesh document: the one that holds for the node's requests. Told at once when it is another one. */
  readonly version?: number;
  readonly instances: readonly Instance[];
}

export interface LeaseAnswer {
  /** How long the lease lasts from now on, unless it is renewed. */
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** `POST /v1/feed`: answered by FeedMessages, one JSON object a line, until one of the two goes away. */
export interface FeedRequest {
  readonly node: string;
  /** Services that this node calls, and its own. */
  readonly services: readonly string[];
  /** By service the tags that the node has, so that what it knows is not sent again. */
  readonly known: Readonly<Record<string, { readonly rules: string; readonly instances: string }>>;
}

/** What follows each other up to a `live` belongs together: a node uses none of it before. */
export type FeedMessage =
  | {
      readonly kind: "mesh";
      readonly trustDomain: string;
      readonly egress: MeshConfig["egress"];
      /** Identities of services that were removed: refused until the last certificate of theirs ends. */
      readonly removed: readonly string[];
      /** PEM: who vouches for everybody, should that have changed. */
      readonly roots: string;
    }
  /** `rules` is null when there is no such service. */
  | {
      readonly kind: "rules";
      readonly service: string;
      readonly tag: string;
      readonly rules: MeshService | null;
      /** Those that its filters name. */
      readonly plugins: readonly PluginCode[];
    }
  /** All of them. */
  | {
      readonly kind: "instances";
      readonly service: string;
      readonly tag: string;
      readonly instances: readonly Instance[];
    }
  /** Those that are new or other than before, and the ids of those that are gone. */
  | {
      readonly kind: "changed";
      readonly service: string;
      readonly tag: string;
      readonly put: readonly Instance[];
      readonly gone: readonly string[];
    }
  /** The version of the mesh document that holds now. */
  | { readonly kind: "live"; readonly version: number }
  /** Nothing happened, and the coordinator is there. */
  | { readonly kind: "beat" };

/** Whatever goes wrong: the body of every answer of the coordinator that is not 2xx. */
export interface CoordinatorProblem {
  /** A stable code, e.g. `token-used-up`, `version-conflict`. */
  readonly reason: string;
  /** What happened and what to do, for people. */
  readonly message: string;
}

// ---- versions of the mesh document ----

/** One file of a mesh document, as the operator wrote it. */
export interface DocumentFile {
  /** Relative to the folder of the first one, which is the main file. */
  readonly name: string;
  readonly text: string;
}

/** A version as the store keeps it. */
export interface DocumentVersion {
  /** 1 for the first, and one more each time; a rollback is a new version with an earlier one's content. */
  readonly version: number;
  readonly appliedEpochMs: number;
  /** Who did it: what the operator's token names. */
  readonly by: string;
  /** The version that this one brought back; null for one that was applied. */
  readonly restores: number | null;
  readonly files: readonly DocumentFile[];
  readonly config: MeshConfig;
  /** The document in its own grammar, every default filled in, without secrets: what people see and compare. */
  readonly resolved: ResolvedDocument;
}

/** YAML as data, `{ trustDomain, defaults, services: { NAME: { KEY: … } } }`. */
export type ResolvedDocument = Readonly<Record<string, unknown>>;

/** What a list of versions says of each. */
export type VersionSummary = Omit<DocumentVersion, "files" | "config" | "resolved">;

/** A mesh document that was checked where its files, its secrets and its filters' code are. */
export type CheckedDocument = Pick<DocumentVersion, "files" | "config" | "resolved">;

/** `PUT /v1/document`, with `?dry-run=yes` to try it: files alone are checked by the coordinator. */
export interface ApplyRequest {
  readonly files: readonly DocumentFile[];
  readonly checked: Omit<CheckedDocument, "files"> | null;
  /** The version that the operator saw, 0 for none: if another one holds by now, nothing changes. Null asks for none. */
  readonly base: number | null;
}

/** `POST /v1/rollback` */
export interface RollbackRequest {
  /** The one whose content comes back. */
  readonly version: number;
  readonly base: number | null;
}

/** The answer to both. */
export interface ApplyAnswer {
  /** What holds now: a new version, or the one before where nothing differs. */
  readonly version: number;
  readonly difference: Difference;
}

/** What differs between two documents. */
export interface Difference {
  readonly changes: readonly DocumentChange[];
}

export interface DocumentChange {
  /** Null for what is no service's: `trustDomain`, `defaults`, the code of a filter. */
  readonly service: string | null;
  /** Below the service, `routes[1].timeout`; empty for the whole service. */
  readonly key: string;
  readonly kind: "added" | "removed" | "changed";
  /** In the document's grammar; null for nothing, and where it must not be shown. */
  readonly before: unknown;
  readonly after: unknown;
  /** What a value cannot say, such as that a secret is another one. */
  readonly note: string | null;
}
