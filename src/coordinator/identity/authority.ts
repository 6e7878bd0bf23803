/** The authority of a mesh: vouches for nodes, with an intermediate below a root that is made once, or the user's own. */

import { keyText, newKeys } from "../../certificate-request.ts";
import { type Identity, identityText } from "../../identity.ts";
import type { Clock, Random } from "../../machine.ts";
import type { Credentials } from "../../mesh.ts";
import type { Log } from "../../types.ts";
import { type PublicKey, X509Certificate } from "../../x509.ts";
import { Refusal } from "../refusal.ts";
import { type Store, StoreFailure } from "../store/store.ts";
import { type AuthorityRecord, issuerOf, parseRecord } from "./authority-record.ts";
import {
  fingerprintOf,
  type Issuer,
  makeIntermediate,
  makeLeaf,
  makeRoot,
  newSerial,
  pemOf,
  wholeSecond,
} from "./certificate-making.ts";
import { ClockGuard } from "./clock-guard.ts";
import type { GivenAuthority } from "./given-authority.ts";
import { requestedKey } from "./requested-key.ts";

const dayMs = 86_400_000;
export const leafMs = dayMs;
const intermediateMs = 365 * dayMs;
const rootMs = 3650 * dayMs;
/** Certificates begin in the past, for nodes whose clocks are behind. */
export const backdateMs = 300_000;
/** Long enough to move to another mesh. */
const rootWarningMs = 180 * dayMs;
/** The part of an intermediate's life that is left when the next one is made. */
const renewalPart = 1 / 4;
/** Between two tries to make it. */
const renewalGapMs = 600_000;
const serialDrawsMax = 3;

/** Whom the coordinator's certificate names; no service may be called so. */
export const coordinatorName = "coordinator.mesh";

export interface AuthorityParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly given: GivenAuthority | null;
}

/** A request whose key is its sender's. */
export interface AcceptedRequest {
  readonly publicKey: PublicKey;
  /** SHA-256 of the key, base64url. */
  readonly keyFingerprint: string;
}

export interface CertificateWish {
  readonly identity: Identity;
  /** What the node calls itself; null where it did not say. */
  readonly node: string | null;
}

/** PEM texts of the coordinator's own. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

interface Current {
  readonly record: AuthorityRecord;
  readonly revision: number;
  readonly issuer: Issuer;
}

export class Authority {
  readonly #parts: AuthorityParts;
  readonly #guard: ClockGuard;
  #current: Current;
  #renewal: Promise<void> | null = null;
  #notBeforeMs = 0;

  /** SHA-256 of the root certificate, base64url: what tokens carry as `root`. */
  readonly rootFingerprint: string;

  private constructor(
    parts: AuthorityParts,
    current: Current,
    facts: { latest: number; fingerprint: string },
  ) {
    this.#parts = parts;
    this.#current = current;
    this.#guard = new ClockGuard(parts, facts.latest);
    this.rootFingerprint = facts.fingerprint;
  }

  /** Reads it from the store, or makes it there. Rejects with a Refusal, or with what is wrong with the store. */
  static async open(parts: AuthorityParts): Promise<Authority> {
    const current = (await readCurrent(parts.store)) ?? (await makeFirst(parts));
    const root = new X509Certificate(current.record.root);
    await demandSameRoot(parts.given, root, current.record);
    const issued = await parts.store.listIssuedCertificates(0);
    const latest = issued.reduce(
      (latest, { startsEpochMs }) => Math.max(latest, startsEpochMs + backdateMs),
      current.issuer.certificate.notBefore.getTime() + backdateMs,
    );
    const authority = new Authority(parts, current, { latest, fingerprint: await fingerprintOf(root) });
    await authority.#renewWhenDue();
    return authority;
  }

  /** PEM. */
  get roots(): string {
    return this.#current.record.root;
  }

  /** Until when it can vouch for nodes as it is; the next intermediate is made well before. */
  get expiresEpochMs(): number {
    return this.#current.issuer.certificate.notAfter.getTime();
  }

  /** What is wrong, or will be, one line each. */
  warnings(): readonly string[] {
    const now = this.#guard.believed();
    if (now === null) {
      return ["no certificates are made: the clock of this machine is behind those that were issued"];
    }
    const { notAfter } = this.#current.issuer.certificate;
    const rootEnds = new X509Certificate(this.roots).notAfter;
    const lines: string[] = [];
    if (this.#isDue(now)) {
      lines.push(
        `the mesh's authority ends on ${notAfter.toISOString()} and was not renewed yet: see the log`,
      );
    }
    if (rootEnds.getTime() - now < rootWarningMs) {
      lines.push(`the mesh's root certificate ends on ${rootEnds.toISOString()}`);
    }
    return lines;
  }

  /** Whether a certificate would be made for this PKCS#10 in PEM; a Refusal says why not. Nothing is used up by it. */
  async accept(request: string): Promise<AcceptedRequest> {
    this.#guard.demand();
    const publicKey = await requestedKey(request);
    const hash = await crypto.subtle.digest("SHA-256", publicKey.rawData);
    return { publicKey, keyFingerprint: Buffer.from(hash).toString("base64url") };
  }

  async issue(
    { publicKey }: Pick<AcceptedRequest, "publicKey">,
    { identity, node }: CertificateWish,
  ): Promise<Credentials> {
    const now = this.#guard.demand();
    await this.#renewWhenDue();
    const uri = identityText(identity);
    const dnsName = `${identity.service}.mesh`;
    demandNotReserved(dnsName);
    const validity = this.#validity({ earliestEpochMs: now, latestEpochMs: now });
    const serial = await this.#recordedSerial({ identity: uri, node, ...validity }, now);
    const leaf = await makeLeaf(this.#current.issuer, {
      ...validity,
      serial,
      publicKey,
      commonName: identity.service,
      names: [
        { type: "url", value: uri },
        { type: "dns", value: dnsName },
      ],
      usages: "client and server",
    });
    const { trustDomain } = identity;
    const certificate = this.#withChain(leaf);
    return { certificate, roots: this.roots, trustDomain, identity: uri, ...validity };
  }

  /** With a new key, which is nowhere stored. Made with any clock: nodes must be able to ask what is wrong. */
  async issueServer(names: ServerNames): Promise<ServerCertificate> {
    await this.#renewWhenDue();
    const keys = await newKeys();
    const validity = this.#validity(this.#guard.span());
    const leaf = await makeLeaf(this.#current.issuer, {
      ...validity,
      serial: newSerial(this.#parts.random),
      publicKey: keys.publicKey,
      commonName: coordinatorName,
      names: [
        ...[coordinatorName, ...names.dns].map((value) => ({ type: "dns" as const, value })),
        ...names.addresses.map((value) => ({ type: "ip" as const, value })),
      ],
      usages: "server",
    });
    return { certificate: this.#withChain(leaf), key: await keyText(keys), ...validity };
  }

  #withChain(leaf: X509Certificate): string {
    return pemOf(leaf) + this.#current.record.intermediate + this.#current.record.chain;
  }

  /** A day from the latest that it may be, begun a little before the earliest; never outside the intermediate's. */
  #validity({ earliestEpochMs, latestEpochMs }: { earliestEpochMs: number; latestEpochMs: number }) {
    const { notBefore, notAfter } = this.#current.issuer.certificate;
    const starts = Math.max(earliestEpochMs - backdateMs, notBefore.getTime());
    const expires = Math.min(Math.max(latestEpochMs, starts) + leafMs, notAfter.getTime());
    if (expires <= starts) {
      throw new Refusal(
        "authority-ended",
        `the mesh's authority ended on ${notAfter.toISOString()}; start the coordinator with a newer --ca-cert`,
      );
    }
    return { startsEpochMs: wholeSecond(starts), expiresEpochMs: wholeSecond(expires) };
  }

  /** A store that cannot take it must not end the mesh a day later: it is said, and the certificate made. */
  async #recordedSerial(
    issued: Omit<Parameters<Store["putIssuedCertificate"]>[0], "serial">,
    nowEpochMs: number,
  ): Promise<string> {
    const { store, log, random } = this.#parts;
    for (let draw = 1; ; draw += 1) {
      const serial = newSerial(random);
      try {
        if ((await store.putIssuedCertificate({ ...issued, serial }, nowEpochMs)) === "stored") return serial;
        if (draw === serialDrawsMax) throw new Error(`no unused serial number in ${draw} draws`);
      } catch (error) {
        if (!(error instanceof StoreFailure)) throw error;
        log.warn("a certificate was issued and not recorded", { ...issued, error: error.message });
        return serial;
      }
    }
  }

  #renewWhenDue(): Promise<void> {
    const now = this.#guard.believed();
    if (now === null || !this.#isDue(now)) return Promise.resolve();
    if (this.#renewal === null) {
      const nowMs = this.#parts.clock.now();
      if (nowMs < this.#notBeforeMs) return Promise.resolve();
      this.#notBeforeMs = nowMs + renewalGapMs;
    }
    this.#renewal ??= this.#renew(now).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  #isDue(nowEpochMs: number): boolean {
    const { notBefore, notAfter } = this.#current.issuer.certificate;
    const lifeMs = notAfter.getTime() - notBefore.getTime();
    // One that has not begun was made with a wrong clock.
    return nowEpochMs >= notAfter.getTime() - lifeMs * renewalPart || nowEpochMs < notBefore.getTime();
  }

  /** What was issued by the one before stays valid: nodes show it with their own certificates. */
  async #renew(nowEpochMs: number): Promise<void> {
    const { store, log, given, random } = this.#parts;
    try {
      // Another coordinator may have been faster.
      this.#current = (await readCurrent(store)) ?? this.#current;
      if (!this.#isDue(nowEpochMs)) return;
      const { record, revision } = this.#current;
      const { root, rootKey } = record;
      const above = rootKey === null ? given : await ownAbove({ root, rootKey });
      if (above === null) {
        log.warn("the mesh's authority ends: start the coordinator with --ca-cert and --ca-key", {
          expires: new Date(this.expiresEpochMs).toISOString(),
        });
        return;
      }
      const next = { ...record, ...(await intermediateBelow(above, { nowEpochMs, random })) };
      await store.swapSecret("authority", JSON.stringify(next), revision);
      this.#current = (await readCurrent(store)) ?? this.#current;
      log.info("the mesh's authority has a new intermediate certificate", {
        expires: new Date(this.expiresEpochMs).toISOString(),
      });
    } catch (error) {
      log.error("the mesh's authority could not be renewed", { error: (error as Error).message });
    }
  }
}

export interface ServerNames {
  readonly dns: readonly string[];
  /** IP addresses. */
  readonly addresses: readonly string[];
}

/** A node of such a service could pass for the coordinator. */
function demandNotReserved(dnsName: string): void {
  if (dnsName.toLowerCase() !== coordinatorName) return;
  throw new Refusal(
    "service-reserved",
    `no service can be called "coordinator": ${coordinatorName} is taken`,
  );
}

async function readCurrent(store: Store): Promise<Current | null> {
  const secret = await store.readSecret("authority");
  if (secret === null) return null;
  const record = parseRecord(secret.text);
  const issuer = await issuerOf(record.intermediate, record.intermediateKey);
  return { record, revision: secret.revision, issuer };
}

async function makeFirst({ store, clock, random, given }: AuthorityParts): Promise<Current> {
  const nowEpochMs = clock.epochMs();
  const own = given === null ? await ownRoot({ nowEpochMs, random }) : null;
  const record: AuthorityRecord = {
    root: own?.root ?? pemOf(given!.root),
    rootKey: own?.rootKey ?? null,
    ...(await intermediateBelow(given ?? (await ownAbove(own!)), { nowEpochMs, random })),
  };
  // A conflict: another coordinator made it at the same time, and that one holds.
  await store.swapSecret("authority", JSON.stringify(record), 0);
  return (await readCurrent(store))!;
}

interface OwnRoot {
  readonly root: string;
  readonly rootKey: string;
}

interface Making {
  readonly nowEpochMs: number;
  readonly random: Random;
}

async function ownRoot({ nowEpochMs, random }: Making): Promise<OwnRoot> {
  const keys = await newKeys();
  const validity = { startsEpochMs: nowEpochMs - backdateMs, expiresEpochMs: nowEpochMs + rootMs };
  return {
    root: pemOf(await makeRoot({ serial: newSerial(random), keys, ...validity })),
    rootKey: await keyText(keys),
  };
}

type Above = Pick<GivenAuthority, "issuer" | "chain" | "expiresEpochMs">;

async function ownAbove({ root, rootKey }: OwnRoot): Promise<Above> {
  const issuer = await issuerOf(root, rootKey);
  return { issuer, chain: "", expiresEpochMs: issuer.certificate.notAfter.getTime() };
}

async function intermediateBelow({ issuer, chain, expiresEpochMs }: Above, { nowEpochMs, random }: Making) {
  const keys = await newKeys();
  const starts = Math.max(nowEpochMs - backdateMs, issuer.certificate.notBefore.getTime());
  const expires = Math.min(Math.max(nowEpochMs, starts) + intermediateMs, expiresEpochMs);
  const made = await makeIntermediate(issuer, {
    serial: newSerial(random),
    keys,
    startsEpochMs: starts,
    expiresEpochMs: expires,
  });
  return { intermediate: pemOf(made), intermediateKey: await keyText(keys), chain };
}

async function demandSameRoot(
  given: GivenAuthority | null,
  root: X509Certificate,
  { rootKey }: AuthorityRecord,
): Promise<void> {
  if (given === null) return;
  if (rootKey === null && (await fingerprintOf(given.root)) === (await fingerprintOf(root))) return;
  const theirs = rootKey === null ? "another root" : "a root of its own";
  throw new Refusal(
    "other-authority",
    `--ca-cert: the mesh in this store has ${theirs}, ${JSON.stringify(root.subject)}; wanted one below that, or another --store`,
  );
}
