/** The main file and what it includes, as one map. */
import type { Reading } from "./document.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import type { WatchedFiles } from "./files.ts";
import { childrenOf, type Located, type LocatedEntry, type LocatedMap, type Part } from "./located.ts";
import { readPlain } from "./plain-yaml.ts";
import type { Report } from "./problem.ts";
import { placeName, type Range, SourceFile } from "./source.ts";

const fileCharactersMax = 16 * 1024 * 1024;
const filesMax = 256;

/** Maps whose entries may come from several files; every other key may be in one. */
const sharedMaps = ["listeners", "services"];

export interface WholeConfig {
  readonly root: Part;
  /** False when a file could not be read, so that what it defines is not known. */
  readonly whole: boolean;
  /** The main one first. */
  readonly files: readonly SourceFile[];
}

export interface Sources extends Reading {
  readonly files: WatchedFiles;
}

/** Null when not even the main file can be read. */
export async function readWhole(name: string, sources: Sources): Promise<WholeConfig | null> {
  const { report } = sources;
  const main = await readFile(name, sources);
  if (main === null) return null;
  if (main.node === null) return null;
  const merger = new Merger(report, main.range);
  let whole = merger.add(main.node);
  const files = [main.range.file];
  for (const included of await includedNames(name, main.node, sources)) {
    const file = await readFile(included.name, { ...sources, named: included.range });
    const known = file?.node ? merger.addIncluded(file.node) : false;
    if (file !== null) files.push(file.range.file);
    whole &&= known;
  }
  return { root: { node: merger.map(), path: [], key: main.range }, whole, files };
}

interface Named {
  readonly name: string;
  /** Where it is named. */
  readonly range: Range;
}

async function readFile(name: string, sources: Sources & { readonly named?: Range }) {
  const { report, named } = sources;
  const result = await sources.files.read(name, fileCharactersMax);
  if (!result.ok) {
    const message = `cannot read ${JSON.stringify(name)}: ${result.reason}`;
    if (named === undefined) report.addFile(name, message);
    else report.add(named, ["include"], { message });
    return null;
  }
  const file = new SourceFile(name, result.value);
  return { node: await readNode(file, sources), range: { file, start: 0, end: 0 } };
}

/** Most files are plain: all of YAML, and what tells mistakes, is loaded only for the others. */
async function readNode(file: SourceFile, sources: Sources): Promise<Located | null> {
  const plain = readPlain(file, sources.environment);
  if (plain !== null) return plain;
  const { readDocument } = await import("./document.ts");
  return readDocument(file, sources);
}

/** In the order of the list, those of one pattern by name; no file twice. */
async function includedNames(main: string, node: Located, sources: Sources): Promise<Named[]> {
  if (node.kind !== "map") return [];
  const include = node.entries.get("include")?.node;
  if (include?.kind !== "list") return [];
  const found = new Map<string, Named>();
  for (const item of include.items) {
    if (item.kind !== "scalar" || typeof item.value !== "string" || item.value === "") continue;
    const names = await matchingNames(joinPath(directoryOf(main), item.value), item.range, sources);
    for (const name of names) if (name !== main) found.set(name, { name, range: item.range });
  }
  if (found.size > filesMax) {
    const message = `cannot include ${found.size} files: wanted at most ${filesMax}`;
    sources.report.add(include.range, ["include"], { message });
  }
  return [...found.values()].slice(0, filesMax);
}

/** A pattern may match nothing; a plain name must be there. */
async function matchingNames(path: string, range: Range, sources: Sources): Promise<string[]> {
  const directory = directoryOf(path);
  const last = path.slice(directory === "/" ? 1 : directory.length).replace(/^\//, "");
  if (directory.includes("*")) {
    const message = `cannot read ${JSON.stringify(path)}: wanted the * in the last part only`;
    sources.report.add(range, ["include"], { message });
    return [];
  }
  if (!last.includes("*")) return [path];
  const result = await sources.files.list(directory === "" ? "." : directory);
  if (!result.ok && !result.missing) {
    const message = `cannot list ${JSON.stringify(directory)}: ${result.reason}`;
    sources.report.add(range, ["include"], { message });
  }
  const names = result.ok ? result.value : [];
  return names
    .filter((name) => !name.startsWith(".") && matchesGlob(name, last))
    .toSorted()
    .map((name) => joinPath(directory, name));
}

/** Whether the name is the parts of the pattern in this order, with anything where the stars are. */
function matchesGlob(name: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false;
  let at = first.length;
  for (const part of rest) {
    const next = name.indexOf(part, at);
    if (next < 0) return false;
    at = next + part.length;
  }
  return at <= name.length - last.length;
}

/** Puts the top levels of several files together; a name that is defined twice is a problem. */
class Merger {
  private readonly report: Report;
  private readonly range: Range;
  private readonly entries = new Map<string, LocatedEntry>();

  constructor(report: Report, range: Range) {
    this.report = report;
    this.range = range;
  }

  /** False when the file is no map, so that nothing is known of it. */
  add(node: Located): boolean {
    if (node.kind === "scalar" && node.value === null) return true;
    if (node.kind !== "map") {
      const message = "cannot read this file: wanted a map";
      if (node.kind !== "gap") this.report.add(node.range, [], { message });
      return false;
    }
    for (const [name, entry] of node.entries) this.put(name, entry);
    return true;
  }

  addIncluded(node: Located): boolean {
    const include = node.kind === "map" ? node.entries.get("include") : undefined;
    if (node.kind !== "map" || include === undefined) return this.add(node);
    const message = "cannot use `include` in an included file: wanted it in the main file";
    this.report.add(include.key, ["include"], { message });
    return this.add({ ...node, entries: new Map([...node.entries].filter(([name]) => name !== "include")) });
  }

  map(): LocatedMap {
    return { kind: "map", range: this.range, entries: this.entries };
  }

  private put(name: string, entry: LocatedEntry): void {
    const earlier = this.entries.get(name);
    if (earlier === undefined) this.entries.set(name, entry);
    else if (sharedMaps.includes(name) && earlier.node.kind === "map" && entry.node.kind === "map") {
      this.entries.set(name, { key: earlier.key, node: this.join(name, earlier.node, entry.node) });
    } else this.twice([name], earlier.key, entry.key);
  }

  private join(name: string, earlier: LocatedMap, later: LocatedMap): LocatedMap {
    const entries = new Map(earlier.entries);
    for (const [child] of childrenOf({ node: later, path: [], key: later.range })) {
      const entry = later.entries.get(child)!;
      const first = entries.get(child);
      if (first === undefined) entries.set(child, entry);
      else this.twice([name, child], first.key, entry.key);
    }
    return { ...earlier, entries };
  }

  private twice(path: readonly string[], first: Range, second: Range): void {
    const message = `cannot define "${path[path.length - 1]}" twice`;
    this.report.add(second, path, { message, hints: [`the first is at ${placeName(first)}`] });
  }
}
