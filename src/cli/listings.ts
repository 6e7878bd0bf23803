/**
 * What `clearway get` lists: each asks the coordinator, and makes of the answer rows for people, or JSON for programs
 * (docs/operations.md says its fields).
 */
import type { DocumentVersion, Instance, VersionSummary } from "../mesh.ts";
import { flow } from "./difference-text.ts";
import type { OperatorCalls } from "./operator.ts";
import { shortTime } from "./table.ts";

export interface ListingFacts {
  readonly calls: OperatorCalls;
  /** Of this service alone; null for all. */
  readonly name: string | null;
  readonly nowEpochMs: number;
  /** Identities that end within it alone; null for all. */
  readonly expiringMs: number | null;
}

export interface Listing {
  readonly head: readonly string[];
  /** The columns that only `-o wide` shows: without them a row has its place in a narrow terminal. */
  readonly wide: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What is said when there is no row. */
  none(): string | Promise<string>;
  readonly json: unknown;
  /** Whether there is something that somebody has to look at. */
  readonly alarm: "yes" | "no";
}

export const listings = { services, instances, nodes, identities, versions, policy } as const;
export type ListingName = keyof typeof listings;
export const listingNames = Object.keys(listings) as ListingName[];

interface ServiceCount {
  readonly service: string;
  readonly instances: number;
  readonly healthy: number;
  readonly draining: number;
}

export interface ListedNode {
  readonly service: string;
  readonly node: string;
  readonly instances: number;
  readonly leaseLeftMs: number | null;
  /** Of the mesh document, that holds for its requests; null while it said none. */
  readonly version: number | null;
  readonly uses: readonly string[] | null;
}

type ListedInstance = Instance & { readonly node: string };

interface ListedIdentity {
  readonly identity: string;
  readonly serial: string;
  readonly node: string | null;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
  readonly removed: boolean;
}

/** A service of a document as it was printed with every default. */
interface WrittenService {
  readonly mtls?: string;
  readonly allow?: readonly WrittenRule[];
  readonly audit?: readonly WrittenRule[];
}

interface WrittenRule {
  readonly from: unknown;
  readonly method?: unknown;
  readonly path?: string;
}

interface WrittenDocument {
  readonly defaults: { readonly policy: "deny" | "allow" };
  readonly services: Readonly<Record<string, WrittenService>>;
}

/** Those of the document, and those that only have instances. */
async function services({ calls, name }: ListingFacts): Promise<Listing> {
  const [document, counts] = await Promise.all([
    written(calls),
    calls.get<{ readonly services: readonly ServiceCount[] }>("/v1/services"),
  ]);
  const known = document?.services ?? {};
  const names = [...new Set([...Object.keys(known), ...counts.services.map(({ service }) => service)])];
  const list = names.filter(named(name)).map((service) => {
    const count = counts.services.find((one) => one.service === service);
    const { instances = 0, healthy = 0, draining = 0 } = count ?? {};
    const rules = Object.hasOwn(known, service) ? known[service]! : null;
    const where = rules === null ? "not in the document" : rules.mtls === undefined ? "outside" : "mesh";
    return { service, where, mtls: rules?.mtls ?? null, instances, healthy, draining };
  });
  return {
    head: ["SERVICE", "WHERE", "MTLS", "INSTANCES", "HEALTHY", "DRAINING"],
    wide: [],
    rows: list.map(({ service, where, mtls, instances, healthy, draining }) => [
      ...[service, where, mtls ?? "-"],
      ...[instances, healthy, draining].map(String),
    ]),
    none: () => none("service", name),
    json: { services: list },
    alarm: "no",
  };
}

async function instances(facts: ListingFacts): Promise<Listing> {
  const { calls, name } = facts;
  const query = name === null ? "" : `?service=${encodeURIComponent(name)}`;
  const answer = await calls.get<{ readonly instances: readonly ListedInstance[] }>(`/v1/instances${query}`);
  // An id is drawn: it says nothing to people.
  const key = ({ service, version, id }: ListedInstance) => `${service}/${version ?? ""}/${id}`;
  const list = answer.instances.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
  return {
    head: ["SERVICE", "ADDRESS", "STATE", "VERSION", "ZONE", "WEIGHT", "NODE", "INSTANCE"],
    wide: ["WEIGHT", "NODE", "INSTANCE"],
    rows: list.map((one) => [
      ...[one.service, addressText(one.address), one.state, one.version ?? "-", one.zone ?? "-"],
      ...[String(one.weight), one.node, one.id],
    ]),
    none: () => noneOf(facts, "instance", "a node registers its app when that answers"),
    json: { instances: list },
    alarm: "no",
  };
}

async function nodes(facts: ListingFacts): Promise<Listing> {
  const { calls, name } = facts;
  const answer = await calls.get<{ readonly nodes: readonly ListedNode[] }>("/v1/nodes");
  const list = answer.nodes.filter(({ service }) => named(name)(service));
  return {
    head: ["SERVICE", "NODE", "DOCUMENT", "INSTANCES", "LEASE", "LISTENS", "USES"],
    wide: ["USES"],
    rows: list.map(({ service, node, version, instances: count, leaseLeftMs, uses }) => [
      ...[service, node, version === null ? "-" : String(version), String(count)],
      leaseLeftMs === null ? "-" : `${shortTime(leaseLeftMs)} left`,
      ...(uses === null ? ["no", "-"] : ["yes", uses.join(", ") || "-"]),
    ]),
    none: () => noneOf(facts, "node", "a sidecar or a gateway is one when it has joined"),
    json: { nodes: list },
    alarm: "no",
  };
}

async function identities(facts: ListingFacts): Promise<Listing> {
  const { calls, name, nowEpochMs, expiringMs } = facts;
  const [answer, present] = await Promise.all([
    calls.get<{ readonly identities: readonly ListedIdentity[] }>("/v1/identities"),
    calls.get<{ readonly nodes: readonly ListedNode[] }>("/v1/nodes"),
  ]);
  const ofName = answer.identities.filter(({ identity }) => named(name)(serviceOf(identity)));
  const there = new Set(present.nodes.map(({ service, node }) => `${service}/${node}`));
  const isThere = (one: ListedIdentity) =>
    one.node === null || there.has(`${serviceOf(one.identity)}/${one.node}`);
  const states = ofName.map((one) => ({
    ...one,
    state: one.removed
      ? "removed"
      : isReplaced(one, ofName)
        ? "replaced"
        : isThere(one)
          ? "in use"
          : "node away",
  }));
  const list =
    expiringMs === null
      ? states
      : states.filter(
          ({ state, expiresEpochMs }) => state === "in use" && expiresEpochMs - nowEpochMs <= expiringMs,
        );
  return {
    head: ["IDENTITY", "NODE", "SERIAL", "EXPIRES", "EXPIRES IN", "STATE"],
    wide: ["SERIAL", "EXPIRES"],
    rows: list.map(({ identity, node, serial, expiresEpochMs, state }) => [
      ...[identity, node ?? "-", serial, new Date(expiresEpochMs).toISOString()],
      ...[shortTime(expiresEpochMs - nowEpochMs), state],
    ]),
    none: () =>
      expiringMs === null
        ? noneOf(facts, "identity", "a node gets one when it joins")
        : `no identity in use ends within ${shortTime(expiringMs)}`,
    json: { identities: list },
    alarm: expiringMs !== null && list.length > 0 ? "yes" : "no",
  };
}

async function versions({ calls, name, nowEpochMs }: ListingFacts): Promise<Listing> {
  const answer = await calls.get<{ readonly versions: readonly VersionSummary[] }>("/v1/versions");
  const [newest] = answer.versions;
  const list = answer.versions.filter(({ version }) => name === null || String(version) === name);
  return {
    head: ["VERSION", "APPLIED", "BY", "WHAT"],
    wide: [],
    rows: list.map(({ version, appliedEpochMs, by, restores }) => [
      version === newest?.version ? `${version} (holds)` : String(version),
      ...[`${shortTime(nowEpochMs - appliedEpochMs)} ago`, by],
      restores === null ? "applied" : `rolled back to ${restores}`,
    ]),
    none: () => noVersion(name, answer.versions.at(-1)?.version ?? 0),
    json: { versions: list },
    alarm: "no",
  };
}

function noVersion(name: string | null, oldest: number): string {
  if (name === null) return "no mesh document was applied yet";
  const wasThere = Number(name) >= 1 && Number(name) < oldest;
  return wasThere
    ? `version ${name} is no longer kept: the oldest is version ${oldest}`
    : `there is no version ${name}`;
}

/** Who may call whom, one rule a row. */
async function policy({ calls, name }: ListingFacts): Promise<Listing> {
  const document = await written(calls);
  const all = Object.entries(document?.services ?? {}).filter(
    ([service, { mtls }]) => mtls !== undefined && named(name)(service),
  );
  const rules = all.flatMap(([service, { allow, audit = [] }]) => {
    const standing = allow ?? (document!.defaults.policy === "allow" ? [{ from: "anybody" }] : []);
    const ruled = (kind: string, list: readonly WrittenRule[]) =>
      list.map(({ from, method = null, path = null }) => ({ service, rule: kind, from, method, path }));
    const passing = [...ruled(allow === undefined ? "default" : "allow", standing), ...ruled("audit", audit)];
    return passing.length > 0 ? passing : ruled(allow === undefined ? "default" : "allow", [{ from: [] }]);
  });
  return {
    head: ["SERVICE", "RULE", "FROM", "METHOD", "PATH"],
    wide: [],
    rows: rules.map(({ service, rule, from, method, path }) => [
      ...[service, rule, callersText(from)],
      ...[method === null ? "any" : flow(method), path ?? "any"],
    ]),
    none: () => none("service of the mesh", name),
    json: { policy: rules },
    alarm: "no",
  };
}

/** Null while nothing was applied. */
async function written(calls: OperatorCalls): Promise<WrittenDocument | null> {
  const { versions: all } = await calls.get<{ readonly versions: readonly VersionSummary[] }>("/v1/versions");
  if (all.length === 0) return null;
  const { resolved } = await calls.get<DocumentVersion>("/v1/document");
  return resolved as unknown as WrittenDocument;
}

/** Whether its node has a later one. */
function isReplaced(
  { identity, node, startsEpochMs, serial }: ListedIdentity,
  all: readonly ListedIdentity[],
): boolean {
  if (node === null) return false;
  return all.some(
    (other) =>
      other.identity === identity &&
      other.node === node &&
      other.serial !== serial &&
      other.startsEpochMs > startsEpochMs,
  );
}

function serviceOf(identity: string): string {
  return identity.slice(identity.lastIndexOf("/") + 1);
}

function named(name: string | null): (service: string) => boolean {
  return (service) => name === null || service === name;
}

function none(noun: string, name: string | null): string {
  return name === null ? `there is no ${noun} yet` : `there is no ${noun} named ${name}`;
}

/** `how`: where one comes from. */
async function noneOf({ calls, name }: ListingFacts, noun: string, how: string): Promise<string> {
  if (name === null) return `${none(noun, null)}: ${how}`;
  const known = (await written(calls))?.services ?? {};
  if (!Object.hasOwn(known, name)) return none("service", name);
  return known[name]!.mtls === undefined
    ? `${name} is outside the mesh: no node stands beside it`
    : `${name} has no ${noun} yet: ${how}`;
}

function callersText(from: unknown): string {
  if (Array.isArray(from) && from.length === 0) return "nobody";
  return typeof from === "string" ? from : flow(from);
}

function addressText(address: Instance["address"]): string {
  if ("unixPath" in address) return `unix:${address.unixPath}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
