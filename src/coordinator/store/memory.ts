import type { DocumentVersion, VersionSummary } from "../../mesh.ts";
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
  /** As JSON, as every other store keeps them; by number, in order. */
  readonly #versions = new Map<number, string>();
  #current = 0;
  readonly #instances = new Map<string, StoredInstance>();
  /** By token and user, when the use is forgotten. */
  readonly #tokens = new Map<string, Map<string, number>>();
  readonly #removed = new Map<string, number>();
  readonly #issued = new Map<string, IssuedCertificate>();

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
    this.#versions.set(version.version, JSON.stringify(version));
    this.#current = version.version;
    this.#versions.delete(this.#current - storeLimits.versions);
    return "stored";
  }

  currentVersion(): Promise<DocumentVersion | null> {
    return this.readVersion(this.#current);
  }

  async readVersion(number: number): Promise<DocumentVersion | null> {
    const text = this.#versions.get(number);
    return text === undefined ? null : (JSON.parse(text) as DocumentVersion);
  }

  async listVersions(countMax: number): Promise<readonly VersionSummary[]> {
    return [...this.#versions.values()]
      .reverse()
      .slice(0, countMax)
      .map((text) => {
        const { version, appliedEpochMs, by, restores } = JSON.parse(text) as DocumentVersion;
        return { version, appliedEpochMs, by, restores };
      });
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
