import type { DocumentVersion, VersionSummary } from "../../mesh.ts";
import {
  documentVersion,
  forgottenUpTo,
  type KeptVersion,
  keptVersion,
  type VersionLimits,
} from "./kept-version.ts";
import {
  demandRoom,
  type InstancesChange,
  type IssuedCertificate,
  type RemovedService,
  type Secret,
  type SecretName,
  type Store,
  type StoredInstance,
  type Swapped,
  storeLimits,
  type TokenUse,
} from "./store.ts";

/** Gone with its process. */
export class MemoryStore implements Store {
  readonly #secrets = new Map<SecretName, Secret>();
  /** By number, in order. */
  readonly #versions = new Map<number, KeptVersion & { readonly bytes: number }>();
  #current = 0;
  readonly #versionLimits: VersionLimits;
  readonly #instances = new Map<string, StoredInstance>();
  /** By token and user, when the use is forgotten. */
  readonly #tokens = new Map<string, Map<string, number>>();
  readonly #removed = new Map<string, number>();
  readonly #issued = new Map<string, IssuedCertificate>();

  constructor(versionLimits: VersionLimits = storeLimits) {
    this.#versionLimits = versionLimits;
  }

  async readSecret(name: SecretName): Promise<Secret | null> {
    return this.#secrets.get(name) ?? null;
  }

  async swapSecret(name: SecretName, text: string, revision: number): Promise<Swapped> {
    if ((this.#secrets.get(name)?.revision ?? 0) !== revision) return "conflict";
    this.#secrets.set(name, { text, revision: revision + 1 });
    return "stored";
  }

  async appendVersion(version: DocumentVersion): Promise<Swapped> {
    if (version.version !== this.#current + 1) return "conflict";
    const kept = keptVersion(version);
    this.#versions.set(version.version, { ...kept, bytes: Buffer.byteLength(kept.content) });
    this.#current = version.version;
    const newestFirst = [...this.#versions]
      .reverse()
      .map(([number, { bytes }]) => ({ version: number, bytes }));
    const last = forgottenUpTo(newestFirst, this.#versionLimits);
    for (const number of this.#versions.keys()) if (number <= last) this.#versions.delete(number);
    return "stored";
  }

  currentVersion(): Promise<DocumentVersion | null> {
    return this.readVersion(this.#current);
  }

  async readVersion(number: number): Promise<DocumentVersion | null> {
    const kept = this.#versions.get(number);
    return kept === undefined ? null : documentVersion(kept);
  }

  async listVersions(countMax: number): Promise<readonly VersionSummary[]> {
    const all = [...this.#versions.values()].reverse();
    return all.slice(0, countMax).map(({ summary }) => summary);
  }

  async changeInstances({ put, removed }: InstancesChange): Promise<void> {
    const gone = new Set(removed.filter((id) => this.#instances.has(id)));
    const stays = (id: string) => this.#instances.has(id) && !gone.has(id);
    const added = new Set(put.map(({ instance }) => instance.id).filter((id) => !stays(id)));
    demandRoom("instances", this.#instances.size - gone.size + added.size);
    for (const id of removed) this.#instances.delete(id);
    for (const stored of put) this.#instances.set(stored.instance.id, stored);
  }

  async listInstances(): Promise<readonly StoredInstance[]> {
    return [...this.#instances.values()].sort((a, b) => compare(a.instance.id, b.instance.id));
  }

  async useToken({ tokenId, user, usesMax, forgetEpochMs }: TokenUse, nowEpochMs: number) {
    let uses = 0;
    for (const [id, users] of this.#tokens) {
      for (const [name, forget] of users) if (forget <= nowEpochMs) users.delete(name);
      if (users.size === 0) this.#tokens.delete(id);
      uses += users.size;
    }
    const users = this.#tokens.get(tokenId) ?? new Map<string, number>();
    if (users.has(user)) return "used" as const;
    if (users.size >= usesMax) return "used-up" as const;
    demandRoom("tokenUses", uses + 1);
    this.#tokens.set(tokenId, users.set(user, forgetEpochMs));
    return "used" as const;
  }

  async putRemovedService({ service, untilEpochMs }: RemovedService, nowEpochMs: number): Promise<void> {
    for (const [name, until] of this.#removed) {
      if (until <= nowEpochMs) this.#removed.delete(name);
    }
    if (!this.#removed.has(service)) demandRoom("removedServices", this.#removed.size + 1);
    this.#removed.set(service, untilEpochMs);
  }

  async deleteRemovedService(service: string): Promise<void> {
    this.#removed.delete(service);
  }

  async listRemovedServices(nowEpochMs: number): Promise<readonly RemovedService[]> {
    return [...this.#removed]
      .map(([service, untilEpochMs]) => ({ service, untilEpochMs }))
      .filter(({ untilEpochMs }) => untilEpochMs > nowEpochMs)
      .sort((a, b) => compare(a.service, b.service));
  }

  async putIssuedCertificate(issued: IssuedCertificate, nowEpochMs: number): Promise<Swapped> {
    for (const [serial, { expiresEpochMs }] of this.#issued) {
      if (expiresEpochMs <= nowEpochMs) this.#issued.delete(serial);
    }
    if (this.#issued.has(issued.serial)) return "conflict";
    this.#issued.set(issued.serial, issued);
    const over = this.#issued.size - storeLimits.issuedCertificates;
    if (over > 0) {
      for (const { serial } of this.#issuedInOrder().slice(0, over)) this.#issued.delete(serial);
    }
    return "stored";
  }

  async listIssuedCertificates(nowEpochMs: number): Promise<readonly IssuedCertificate[]> {
    return this.#issuedInOrder().filter(({ expiresEpochMs }) => expiresEpochMs > nowEpochMs);
  }

  watch(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {}

  #issuedInOrder(): IssuedCertificate[] {
    return [...this.#issued.values()].sort(
      (a, b) => a.expiresEpochMs - b.expiresEpochMs || compare(a.serial, b.serial),
    );
  }
}

/** By code units, as SQLite compares the texts that stand here: ids, names and serial numbers are ASCII. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
