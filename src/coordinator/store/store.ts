/** What a coordinator must remember: everything else it can learn again. */
import type { DocumentVersion, Instance, VersionSummary } from "../../mesh.ts";

/** The most that a store keeps of each kind. */
export const storeLimits = {
  /** Older ones are forgotten, and those that do not fit into so many bytes beside the newer ones; never the newest. */
  versions: 500,
  versionBytes: 256 * 2 ** 20,
  instances: 100_000,
  tokenUses: 100_000,
  removedServices: 10_000,
  /** Those that end first are forgotten first. */
  issuedCertificates: 100_000,
} as const;

/**
 * Every call rejects with a StoreFailure when the store cannot do it, and has changed nothing then. What a call changed is
 * kept when it resolves.
 */
export interface Store {
  readSecret(name: SecretName): Promise<Secret | null>;
  /** `revision` is the one that the writer read, 0 where there was none: a later one is not overwritten. */
  swapSecret(name: SecretName, text: string, revision: number): Promise<Swapped>;

  /** Stored only when its number follows the current one (1 when there is none). */
  appendVersion(version: DocumentVersion): Promise<Swapped>;
  currentVersion(): Promise<DocumentVersion | null>;
  readVersion(number: number): Promise<DocumentVersion | null>;
  /** The newest first. */
  listVersions(countMax: number): Promise<readonly VersionSummary[]>;

  /** All of it at once. */
  changeInstances(change: InstancesChange): Promise<void>;
  /** By id. */
  listInstances(): Promise<readonly StoredInstance[]>;

  /** Counts one more use of a token, unless it had as many as it may; who used it may do so again and is not counted. */
  useToken(use: TokenUse, nowEpochMs: number): Promise<"used" | "used-up">;

  putRemovedService(removed: RemovedService, nowEpochMs: number): Promise<void>;
  /** It is there again. */
  deleteRemovedService(service: string): Promise<void>;
  /** Those whose last certificate has not ended, by name. */
  listRemovedServices(nowEpochMs: number): Promise<readonly RemovedService[]>;

  /** A conflict is a serial number that was used. */
  putIssuedCertificate(issued: IssuedCertificate, nowEpochMs: number): Promise<Swapped>;
  /** Those that have not ended; the one that ends first, first. */
  listIssuedCertificates(nowEpochMs: number): Promise<readonly IssuedCertificate[]>;

  /**
   * Calls back after another coordinator changed a part; never where a store has one coordinator. The returned function
   * ends that.
   */
  watch(changed: (part: StorePart) => void): () => void;
  close(): Promise<void>;
}

/** Keys and certificates of the authority; keys that sign tokens. */
export type SecretName = "authority" | "tokens";

export interface Secret {
  readonly text: string;
  /** From 1, one more with each change. */
  readonly revision: number;
}

export type Swapped = "stored" | "conflict";

export type StorePart = "secrets" | "versions" | "instances" | "removed-services";

export interface StoredInstance {
  /** The one that registered it. */
  readonly node: string;
  readonly instance: Instance;
}

export interface InstancesChange {
  readonly put: readonly StoredInstance[];
  /** Ids. */
  readonly removed: readonly string[];
}

export interface TokenUse {
  readonly tokenId: string;
  /** Whose use it is: one that asks again because it did not hear the answer. */
  readonly user: string;
  readonly usesMax: number;
  /** From then on nobody may ask for it any more. */
  readonly forgetEpochMs: number;
}

export interface RemovedService {
  readonly service: string;
  /** When the last certificate of it ends. */
  readonly untilEpochMs: number;
}

export interface IssuedCertificate {
  /** Hexadecimal, unique. */
  readonly serial: string;
  readonly identity: string;
  /** What it calls itself; null where it did not say. */
  readonly node: string | null;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

export type StoreReason =
  | "store-full"
  | "store-read-only"
  | "store-locked"
  | "store-damaged"
  | "store-newer"
  | "store-failed";

export class StoreFailure extends Error {
  readonly reason: StoreReason;

  constructor(reason: StoreReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** Throws when a store would hold more than it may. */
export function demandRoom(kind: "instances" | "tokenUses" | "removedServices", count: number): void {
  if (count <= storeLimits[kind]) return;
  const words = { instances: "instances", tokenUses: "uses of tokens", removedServices: "removed services" };
  throw new StoreFailure("store-full", `the store keeps at most ${storeLimits[kind]} ${words[kind]}`);
}
