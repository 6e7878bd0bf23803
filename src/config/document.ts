/** YAML text -> plain data that knows its places, and every problem of syntax. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLError,
} from "yaml";
import { type Environment, substitute } from "./environment.ts";
import type { Located, LocatedEntry } from "./located.ts";
import type { Path, Report } from "./problem.ts";
import { quotingOf } from "./quoting.ts";
import { lineOf, placeName, type Range, type SourceFile } from "./source.ts";

/** Enough for 10,000 large routes; a bomb of aliases would be more. */
const nodesMax = 1_000_000;
const depthMax = 64;

/** After these the rest of the file still means what it says. Only the line itself is left alone. */
const harmlessErrors = new Set(["BAD_SCALAR_START", "BAD_DQ_ESCAPE", "BAD_ALIAS"]);
const knownTags = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/;

export interface Reading {
  readonly report: Report;
  readonly environment: Environment;
}

/** Null when the file is so broken that its content says nothing. */
export function readDocument(file: SourceFile, reading: Reading): Located | null {
  const documents = parseText(file, reading.report);
  if (documents === null) return null;
  const [first, second] = documents;
  const whole = { file, start: 0, end: 0 };
  if (first === undefined)
    return { kind: "scalar", range: whole, value: null, written: null, origin: "text" };
  if (second !== undefined) {
    const start = second.range?.[0] ?? 0;
    reading.report.add({ file, start, end: start }, [], {
      message: "cannot read a second document in one file: wanted one",
      hints: ["put it into its own file, and name that under `include`"],
    });
    return null;
  }
  const brokenLines = reportErrors(file, first, reading.report);
  return brokenLines === null ? null : new Reader(file, reading, brokenLines).read(first.contents);
}

function parseText(file: SourceFile, report: Report) {
  try {
    // Duplicate keys are found here: the parser's own check compares every key with every other.
    const documents = parseAllDocuments(file.text, {
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: "error",
    });
    return Array.isArray(documents) ? documents : [];
  } catch (error) {
    // Very deep nesting overflows the parser's stack.
    const message = error instanceof Error ? error.message : String(error);
    report.addFile(file.name, `cannot read this as YAML: ${message}`);
    return null;
  }
}

/** Reports the first error of each line, up to one after which nothing can be trusted: then null, else the lines. */
function reportErrors(file: SourceFile, document: Document, report: Report): Set<number> | null {
  const lines = new Set<number>();
  for (const error of document.errors.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const start = openingQuote(document, error) ?? error.pos[0];
    const range = { file, start, end: Math.max(start + 1, error.pos[1]) };
    const line = lineOf(range);
    if (lines.has(line)) continue;
    lines.add(line);
    const quoting = quotingOf(range) ?? afterClosedList(range, error);
    if (quoting !== null) {
      report.add(quoting.range, [], quoting);
      continue;
    }
    const hints = brokenReference(range)
      ? [`quote a value with \${NAME} in it inside { } and [ ]: "\${NAME}"`]
      : [];
    report.add(range, [], { message: `cannot read this as YAML: ${error.message}`, hints });
    if (!harmlessErrors.has(error.code)) return null;
  }
  return lines;
}

/** The parser notices a missing quote where the text ends; the mistake is where it began. */
function openingQuote(document: Document, error: YAMLError): number | null {
  if (!error.message.startsWith("Missing closing")) return null;
  let start: number | null = null;
  visit(document, {
    Scalar: (_, { range }) => {
      if (range && range[0] < error.pos[0] && range[1] >= error.pos[0]) start = range[0];
    },
  });
  return start;
}

/** `[::]:8080`: YAML takes a list and stumbles over what follows. */
function afterClosedList(range: Range, error: YAMLError) {
  if (error.code !== "UNEXPECTED_TOKEN" || !error.message.endsWith("at node end")) return null;
  const { line, column } = range.file.position(range.start);
  const before = range.file.line(line).slice(0, column - 1);
  const open = before.lastIndexOf("[");
  if (open < 0 || !/^\[[^\]]*\]\s*$/.test(before.slice(open))) return null;
  return quotingOf({ ...range, start: range.start - (before.length - open) });
}

/** An unquoted `${` in a flow collection: YAML takes the brace for a map's. */
function brokenReference(range: Range): boolean {
  return range.file.text.slice(Math.max(0, range.start - 1), range.start + 2).includes("${");
}

/** Converts the parser's nodes; aliases share what they name. */
class Reader {
  private readonly file: SourceFile;
  private readonly report: Report;
  private readonly environment: Environment;
  private readonly brokenLines: ReadonlySet<number>;
  /** What each anchor names; null while that is still being read. */
  private readonly anchors = new Map<string, { node: Located; nodes: number } | null>();
  private nodes = 0;

  constructor(file: SourceFile, reading: Reading, brokenLines: ReadonlySet<number>) {
    this.file = file;
    this.report = reading.report;
    this.environment = reading.environment;
    this.brokenLines = brokenLines;
  }

  read(contents: unknown): Located {
    return this.convert(contents as Node | null, [], { file: this.file, start: 0, end: 0 });
  }

  private convert(node: Node | null, path: Path, nowhere: Range): Located {
    const range = node?.range ? { file: this.file, start: node.range[0], end: node.range[1] } : nowhere;
    const gap: Located = { kind: "gap", range };
    this.nodes += 1;
    if (node === null) return { kind: "scalar", range, value: null, written: null, origin: "text" };
    if (this.nodes > nodesMax) {
      if (this.nodes === nodesMax + 1) this.complain(range, path, `more than ${nodesMax} values`);
      return gap;
    }
    if (path.length > depthMax) {
      this.complain(range, path, `nested deeper than ${depthMax} levels`);
      return gap;
    }
    const block = (isMap(node) || isSeq(node)) && node.flow !== true;
    if (!block && this.brokenLines.size > 0 && this.brokenLines.has(lineOf(range))) return gap;
    if (isAlias(node)) return this.alias(node.source, range, path) ?? gap;
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    const before = this.nodes;
    if (anchor !== undefined) this.anchors.set(anchor, null);
    const value = this.content(node, range, path) ?? gap;
    if (anchor !== undefined) this.anchors.set(anchor, { node: value, nodes: this.nodes - before + 1 });
    return value;
  }

  private content(node: Node, range: Range, path: Path): Located | null {
    if ("tag" in node && typeof node.tag === "string" && !knownTags.test(node.tag)) {
      return this.refuse(this.before(range, "!"), path);
    }
    if (isMap(node)) return this.map(node.items, range, path);
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        this.convert(item as Node | null, [...path, index], range),
      );
      return { kind: "list", range, items };
    }
    if (!isScalar(node)) return null;
    // `host: &shop` alone is a null with an anchor, which nobody writes on purpose.
    if (node.anchor !== undefined && node.value === null && range.end === range.start) {
      return this.refuse(this.before(range, "&"), path);
    }
    return this.scalar(node.value, range, path);
  }

  private scalar(value: unknown, range: Range, path: Path): Located | null {
    if (typeof value === "string" && value.includes("${")) {
      const result = substitute(value, this.environment);
      if (!result.ok) {
        this.report.add(range, path, { message: result.message });
        return null;
      }
      return { kind: "scalar", range, value: result.text, written: value, origin: "environment" };
    }
    const known = value === null || typeof value === "string" || typeof value === "boolean";
    // An infinite one has no place in JSON.
    if (known || (typeof value === "number" && Number.isFinite(value))) {
      return { kind: "scalar", range, value, written: null, origin: "text" };
    }
    this.report.add(range, path, {
      message: "cannot read this value: wanted text, a finite number or a boolean",
    });
    return null;
  }

  private map(pairs: readonly Pair[], range: Range, path: Path): Located {
    const entries = new Map<string, LocatedEntry>();
    const merged: LocatedEntry[] = [];
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const key = keyNode?.range
        ? { file: this.file, start: keyNode.range[0], end: keyNode.range[1] }
        : range;
      const name = this.keyName(keyNode, key, path);
      if (name === null) continue;
      const node = this.convert(pair.value as Node | null, [...path, name], key);
      const earlier = entries.get(name);
      if (name === "<<") merged.push({ key, node });
      else if (earlier === undefined) entries.set(name, { key, node });
      else this.twice(name, { first: earlier.key, second: key }, path);
    }
    for (const entry of merged) this.merge(entry, entries, path);
    return { kind: "map", range, entries };
  }

  private keyName(node: Node | null, range: Range, path: Path): string | null {
    const name = isScalar(node) ? (node.source ?? String(node.value)) : null;
    if (name !== null && name !== "" && name !== "__proto__") return name;
    if (!this.brokenLines.has(lineOf(range))) {
      const message =
        "cannot use this as a key: wanted a name, in quotes where it begins with a sign of YAML";
      this.report.add(range, path, { message });
    }
    return null;
  }

  /** `<<: *anchor`: the map's own keys win, then the earlier of several. */
  private merge(source: LocatedEntry, entries: Map<string, LocatedEntry>, path: Path): void {
    const maps = source.node.kind === "list" ? source.node.items : [source.node];
    for (const map of maps) {
      if (map.kind === "gap") continue;
      if (map.kind !== "map") {
        this.report.add(source.key, path, {
          message: "cannot merge this with <<: wanted a map, or a list of maps",
        });
        return;
      }
      for (const [name, entry] of map.entries) if (!entries.has(name)) entries.set(name, entry);
    }
  }

  private alias(name: string, range: Range, path: Path): Located | null {
    const anchor = this.anchors.get(name);
    if (anchor === undefined) return this.refuse(range, path);
    if (anchor === null) {
      this.complain(range, path, `*${name} stands inside what it names`);
      return null;
    }
    this.nodes += anchor.nodes;
    if (this.nodes <= nodesMax) return anchor.node;
    this.complain(range, path, `the aliases stand for more than ${nodesMax} values`);
    return null;
  }

  private twice(name: string, keys: { first: Range; second: Range }, path: Path): void {
    this.report.add(keys.second, [...path, name], {
      message: `cannot define "${name}" twice`,
      hints: [`the first is at ${placeName(keys.first)}`],
    });
  }

  private refuse(range: Range, path: Path): null {
    const quoting = quotingOf(range);
    if (quoting === null) this.complain(range, path, "an anchor, alias or tag that has no meaning here");
    else this.report.add(quoting.range, path, quoting);
    return null;
  }

  private complain(range: Range, path: Path, message: string): void {
    this.report.add(range, path, { message: `cannot read this: ${message}` });
  }

  /** The parser's range of a node begins after its properties; this one begins at them, on the same line. */
  private before(range: Range, sign: string): Range {
    const { line, column } = this.file.position(range.start);
    const text = this.file.line(line);
    let at = text.slice(0, column).lastIndexOf(sign);
    if (at < 0) return range;
    while (text.charAt(at - 1) === sign) at -= 1;
    return { ...range, start: range.start - (column - 1 - at) };
  }
}
