/**
 * Config files -> a snapshot, or every problem at once. The steps: read the files and parse them with their places,
 * put in the environment and the secrets, find the filters that are named, check every part by its grammar, then what
 * the parts say about each other.
 */

import type { FindFilters, FoundFilters } from "../filter-lookup.ts";
import type { Certificates, Clock } from "../machine.ts";
import type { CheckedDocument } from "../mesh.ts";
import type { ListenerConfig, MessageLimits, Problem, ServiceConfig, Snapshot } from "../snapshot.ts";
import { placeAddress } from "./address.ts";
import { type CertificateContext, readTlsFiles } from "./certificates.ts";
import { checkFields, isMisspelt } from "./check.ts";
import { readResolver } from "./discovery.ts";
import type { Environment } from "./environment.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import { type ConfigFiles, WatchedFiles } from "./files.ts";
import type { FilterContext } from "./filter-list.ts";
import { type FilterNames, filterNames } from "./filter-names.ts";
import { partName } from "./grammar/values.ts";
import { inMeshDocument, laterKeys, logGrammar, pathsGrammar, rootGrammar } from "./grammar.ts";
import { readWhole, type WholeConfig } from "./inclusion.ts";
import { defaultLimits, readNodeLimits } from "./limits.ts";
import { checkAddresses, readListener } from "./listeners.ts";
import { childOf, emptyPart, type Part } from "./located.ts";
import { readMembership } from "./membership.ts";
import { namedParts } from "./named-parts.ts";
import { Report } from "./problem.ts";
import { resolvedConfig } from "./resolved.ts";
import { readSecrets } from "./secrets.ts";
import { checkRegistered, readService, withWritten } from "./services.ts";
import { aroundCheck, aroundWork, type FilterTrial } from "./trial.ts";

export interface LoadOptions {
  /** The main file; problems spell it, and what it includes, the same way. */
  readonly file: string;
  readonly files: ConfigFiles;
  readonly findFilters: FindFilters;
  readonly environment: Environment;
  readonly certificates: Certificates;
  /** Certificates have their time. */
  readonly clock: Pick<Clock, "epochMs">;
  /** The new snapshot's. */
  readonly version: number;
  /** Where code that is not the program's own is tried; without one it just runs. */
  readonly trial?: FilterTrial;
  /** What a relative `file` is relative to; without it the host decides. */
  readonly directory?: string;
  /** The config of a node where nothing is said. */
  readonly wanted?: "node" | "mesh" | "either";
}

export interface LoadResult {
  /** Null when there is any problem, and for a mesh document. */
  readonly snapshot: Snapshot | null;
  /** Null when there is any problem, and for the config of a node. */
  readonly document: CheckedDocument | null;
  readonly problems: Problem[];
  /** Every file that was read or looked for, and every directory that was listed: what to watch. */
  readonly files: string[];
  /** The whole config in its own grammar with every default, without secrets; null when there is any problem. */
  readonly resolved: unknown;
}

/** Never rejects: whatever is wrong with the files is a problem. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  return checkConfig(await readConfig(options), options);
}

/** The files as they were read, before anything that takes long, or runs code that is not the program's own. */
export interface ReadConfig {
  /** Null when not even the main file could be read. */
  readonly config: WholeConfig | null;
  readonly names: FilterNames;
  readonly files: WatchedFiles;
  readonly report: Report;
}

export async function readConfig(options: LoadOptions): Promise<ReadConfig> {
  const report = new Report();
  const files = new WatchedFiles(options.files, options.directory ?? "");
  const config = await readWhole(options.file, { report, files, environment: options.environment });
  const names = config === null ? new Map() : filterNames(config.root, options.file);
  return { config, names, files, report };
}

export async function checkConfig(source: ReadConfig, options: LoadOptions): Promise<LoadResult> {
  const { config, files, report } = source;
  const shown = new Map<object, unknown>();
  let read: ReadSnapshot | null = null;
  let document: CheckedDocument | null = null;
  if (config !== null && isWanted(config, options, report)) {
    await readSecrets(config.root, files, report);
    const tlsFiles = await readTlsFiles(config.root, files, report);
    const folder = folderOf(options);
    const found = await findFilters(source, options);
    const trial = options.trial ?? null;
    const context = { ...options, ...found, trial, folder, report, shown, tlsFiles };
    if (isMeshDocument(config) || options.wanted === "mesh") {
      const { readMeshDocument } = await import("./mesh/document.ts");
      document = await aroundCheck(source.names, trial, () => readMeshDocument(config, context));
    } else read = await aroundCheck(source.names, trial, () => readSnapshot(config, context));
  }
  const resolved = read === null ? null : resolvedConfig(read.snapshot, read.limits, shown);
  return {
    snapshot: read?.snapshot ?? null,
    document,
    problems: report.list(),
    files: files.names,
    resolved: document?.resolved ?? resolved,
  };
}

/** It has what no config of a node has. */
export function isMeshDocument({ root }: WholeConfig): boolean {
  return childOf(root, "trustDomain") !== null;
}

function isWanted(config: WholeConfig, { wanted = "node" }: LoadOptions, report: Report): boolean {
  if (wanted !== "node" || !isMeshDocument(config)) return true;
  const { key, path } = childOf(config.root, "trustDomain")!;
  report.add(key, path, {
    message: "cannot run this: it is a mesh document, and not the config of a node",
    hints: [
      "`clearway coordinator -c FILE` starts a mesh with it, `clearway apply -f FILE` applies it to one",
    ],
  });
  return false;
}

/** What the names of a config stand for; code that is not the program's own is loaded in the trial. */
export function findFilters({ names, files }: ReadConfig, options: LoadOptions): Promise<FoundFilters> {
  const code = { files: files.plain, around: aroundWork(names, options.trial ?? null) };
  return options.findFilters(new Set(names.keys()), { folder: folderOf(options), code });
}

function folderOf({ directory, file }: LoadOptions): string {
  return directoryOf(joinPath(directory ?? "", file));
}

const rootKeys = Object.keys(rootGrammar.shape);

type SnapshotContext = Omit<FilterContext, "services"> &
  CertificateContext &
  Pick<Snapshot, "version" | "folder" | "plugins">;

interface ReadSnapshot {
  readonly snapshot: Snapshot;
  /** The general ones, as they are before a listener or a service changes them. */
  readonly limits: MessageLimits;
}

function readSnapshot({ root, whole }: WholeConfig, context: SnapshotContext): ReadSnapshot | null {
  const { report } = context;
  const except = ["limits", "paths", "resolver", "log", "listeners", "services", "mesh"];
  const keys = { except, later: laterKeys.root, elsewhere: inMeshDocument.root };
  const { some, complete } = checkFields(rootGrammar, root, { report, ...keys });
  const nodeLimits = readNodeLimits(root, report);
  const paths = checkFields(pathsGrammar, childOf(root, "paths") ?? emptyPart(root), { report });
  const log = checkFields(logGrammar, childOf(root, "log") ?? emptyPart(root), { report });
  const resolver = readResolver(root, report);
  const admin = readAdmin(root, some.admin, report);
  const membership = readMembership(root, report);
  const registry = membership === null ? ("no" as const) : ("yes" as const);
  const general = { ...context, limits: nodeLimits?.limits ?? defaultLimits, registry };

  const serviceParts = namedParts(root, "services", { report, name: partName });
  const services =
    serviceParts?.map(([name, part]) => withWritten(readService(name, part, general), part)) ?? [];
  checkRegistered(serviceParts ?? [], services, report);
  const named = whole && !isMisspelt("services", root, rootKeys);
  const names = named && serviceParts !== null ? new Set(serviceParts.map(([name]) => name)) : null;

  const listenerParts = namedParts(root, "listeners", { report, name: partName });
  const inListeners = { ...general, services: names };
  const listeners = (listenerParts ?? []).map(([name, part]) => ({
    part,
    config: readListener(name, part, inListeners),
  }));
  checkAddresses(admin, listeners, report);
  if (whole && listenerParts?.length === 0 && !isMisspelt("listeners", root, rootKeys)) {
    report.addFile(
      root.key.file.name,
      "cannot serve anything: wanted at least one listener under `listeners`",
    );
  }
  const { drain } = some;
  if (!complete || !report.empty || nodeLimits === null || admin === null || drain === undefined) return null;
  if (resolver === null || membership === "wrong") return null;
  const { dotSegments, merge, escapedSlash } = paths.some as Required<typeof paths.some>;
  const snapshot: Snapshot = {
    version: context.version,
    folder: context.folder,
    admin: admin.address,
    drainMs: drain,
    zone: some.zone ?? null,
    connectionsMax: nodeLimits.limits.connections,
    workerMemoryBytes: nodeLimits.workerMemoryBytes,
    paths: { dotSegments, slashes: merge ? "merge" : "keep", escapedSlash },
    resolver,
    mesh: null,
    log: log.some as Required<typeof log.some>,
    listeners: listeners
      .map(({ config }) => config)
      .filter((config): config is ListenerConfig => config !== null),
    services: services.filter((config): config is ServiceConfig => config !== null),
    membership,
    plugins: context.plugins,
  };
  return { snapshot, limits: nodeLimits.limits };
}

function readAdmin(root: Part, address: Snapshot["admin"] | undefined, report: Report) {
  if (address === undefined) return null;
  const part = childOf(root, "admin") ?? emptyPart(root);
  const placed = placeAddress(address, part, report);
  return placed === null ? null : { address: placed, part };
}
