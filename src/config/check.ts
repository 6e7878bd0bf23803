/** Reads parts of the config by their schemas; what is wrong goes to the report with the exact place. */
import type { z } from "zod";
import { retyped } from "./environment.ts";
import { childOf, childrenOf, hiddenHints, isNothing, type Part, plainOf, spotOf } from "./located.ts";
import { nearest, nearestHints } from "./nearest.ts";
import type { Path, Report } from "./problem.ts";
import { quoted, wantedMessage } from "./wanted.ts";

export type Checked<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false };

type Issue = z.core.$ZodIssue;

/** For the keys that zod did not know: those that it did know. Zod keeps the list's identity, but not the schema. */
type KnownKeys = WeakMap<readonly string[], readonly string[]>;

/** Reads a whole part by a schema. */
export function check<Value>(schema: z.ZodType<Value>, part: Part, report: Report): Checked<Value> {
  const known: KnownKeys = new WeakMap();
  let result = parse(schema, part, known);
  if (!result.success && retypeEnvironment(part, leaves(result.error.issues, part))) {
    result = parse(schema, part, known);
  }
  if (result.success) return { ok: !hasGap(part), value: result.data } as Checked<Value>;
  const issues = leaves(result.error.issues, part);
  for (const issue of issues) {
    if (!isMisspeltIssue(issue, issues)) reportIssue(issue, part, { report, known });
  }
  return { ok: false };
}

export interface FieldOptions {
  /** Keys that somebody else reads. */
  readonly except?: readonly string[];
  /** Keys that a later version will know. */
  readonly later?: readonly string[];
  /** Keys that are known somewhere else, and what is said of them here. */
  readonly elsewhere?: Elsewhere;
}

export type Elsewhere = Readonly<
  Record<string, { readonly message: string; readonly hints: readonly string[] }>
>;

/** The fields that are right; all of them when `complete`. */
export interface Fields<Value> {
  readonly some: Partial<Value>;
  readonly complete: boolean;
}

/** Reads a map field by field, so that a wrong one does not hide the others. */
export function checkFields<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  part: Part,
  context: FieldOptions & { readonly report: Report },
): Fields<z.output<z.ZodObject<Shape>>> {
  const { report, except = [] } = context;
  const { node } = part;
  const some: Record<string, unknown> = {};
  if (node.kind === "gap") return { some, complete: false } as never;
  if (node.kind !== "map" && !isNothing(part)) {
    report.add(spotOf(part), part.path, { message: `cannot read ${quoted(plainOf(node))}: wanted a map` });
    return { some, complete: false } as never;
  }
  const { fields, known } = fieldsOf(schema);
  let complete = true;
  for (const [name, field] of fields) {
    if (except.includes(name)) continue;
    const checked = checkField(name, field, { part, report, known });
    if (checked.ok) some[name] = checked.value;
    else complete = false;
  }
  if (node.kind === "map") {
    for (const [name, entry] of node.entries) {
      if (name in schema.shape || name === "<<") continue;
      complete = false;
      reportUnknownKey(name, { range: entry.key, path: part.path }, { ...context, known });
    }
  }
  return { some, complete } as never;
}

interface SchemaFields {
  readonly fields: readonly (readonly [name: string, field: z.ZodType])[];
  /** Their names. */
  readonly known: readonly string[];
}

/** By schema: there are few, and thousands of routes are read by one. */
const fieldsBefore = new WeakMap<z.ZodObject, SchemaFields>();

function fieldsOf(schema: z.ZodObject): SchemaFields {
  const before = fieldsBefore.get(schema);
  if (before !== undefined) return before;
  const fields = Object.entries(schema.shape) as [string, z.ZodType][];
  const made = { fields, known: fields.map(([name]) => name) };
  fieldsBefore.set(schema, made);
  return made;
}

/** The entries of a list; none when nothing was written, null when it is no list. */
export function checkList(
  part: Part | null,
  context: { readonly wanted: string; readonly entriesMax: number; readonly report: Report },
): Part[] | null {
  if (part === null || isNothing(part)) return [];
  const { node } = part;
  const { wanted, entriesMax, report } = context;
  if (node.kind === "list" && node.items.length <= entriesMax)
    return childrenOf(part).map(([, child]) => child);
  if (node.kind === "gap") return null;
  const message =
    node.kind === "list"
      ? `cannot use ${node.items.length} entries: wanted at most ${entriesMax}`
      : `cannot read ${quoted(plainOf(node))}: wanted ${wanted}`;
  report.add(spotOf(part), part.path, { message });
  return null;
}

/** What fields are that were not written, as most fields of most routes: by schema, and only what nobody can change. */
const absentBefore = new WeakMap<z.ZodType, Checked<unknown>>();

function checkField(
  name: string,
  field: z.ZodType,
  within: { part: Part; report: Report; known: readonly string[] },
): Checked<unknown> {
  const { part, report, known } = within;
  const child = childOf(part, name);
  if (child !== null) return check(field, child, report);
  const before = absentBefore.get(field);
  if (before !== undefined) return before;
  const absent = field.safeParse(undefined, { error: wantedMessage });
  if (absent.success) {
    const checked = { ok: true, value: absent.data } as const;
    if (typeof checked.value !== "object") absentBefore.set(field, checked);
    return checked;
  }
  if (isMisspelt(name, part, known)) return { ok: false };
  const wanted = absent.error.issues[0]?.message ?? "";
  report.add(part.key, [...part.path, name], { message: `cannot find \`${name}\` here: ${wanted}` });
  return { ok: false };
}

/** Whether the key is missing because an unknown one was meant to be it; that one's problem says so. */
export function isMisspelt(name: string, { node }: Part, known: readonly string[]): boolean {
  if (node.kind !== "map" || node.entries.has(name)) return false;
  return [...node.entries.keys()].some((key) => !known.includes(key) && nearest(key, known) === name);
}

export function reportUnknownKey(
  name: string,
  at: { readonly range: Part["key"]; readonly path: Path },
  context: FieldOptions & { readonly report: Report; readonly known: readonly string[] },
): void {
  const { elsewhere = {} } = context;
  if (Object.hasOwn(elsewhere, name)) {
    context.report.add(at.range, [...at.path, name], elsewhere[name]!);
    return;
  }
  const later = context.later?.includes(name) === true;
  const message = later ? `cannot use \`${name}\`: it is not in this version` : `unknown key "${name}"`;
  const hints = later ? [] : nearestHints(name, context.known);
  context.report.add(at.range, [...at.path, name], { message, hints });
}

function parse<Value>(schema: z.ZodType<Value>, part: Part, known: KnownKeys) {
  return schema.safeParse(plainOf(part.node), {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") known.set(issue.keys, shapeKeys(issue.inst));
      return wantedMessage(issue);
    },
  });
}

function shapeKeys(schema: unknown): string[] {
  const definition = (schema as z.core.$ZodObject | undefined)?._zod.def;
  return definition?.type === "object" ? Object.keys(definition.shape) : [];
}

/** The issues without unions: of those, what the alternatives say that fit the kind of value that is there. */
function leaves(issues: readonly Issue[], part: Part): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "invalid_union") return [issue];
    const alternatives = issue.errors.map((inner) => leaves(inner, part));
    const kind = typeof plainOf(partAt(part, issue.path).part.node);
    const fitting = alternatives.filter((inner) => !inner.some((one) => isOfAnotherKind(one, kind)));
    if (fitting.length === 1 || (fitting.length > 1 && issue.message === "")) {
      return fitting[0]!.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
    }
    const wanted = alternatives.map((inner) => (inner[0]?.message ?? "").replace(/^wanted /, ""));
    const message = issue.message === "" ? `wanted ${[...new Set(wanted)].join(", or ")}` : issue.message;
    // Where none fits, this is one that does not fit either, for a union around it.
    return [{ ...issue, code: fitting.length === 0 ? "invalid_type" : "custom", message } as Issue];
  });
}

/** Whether an alternative was never meant: the value is no text where one of these texts was wanted. */
function isOfAnotherKind(issue: Issue, kind: string): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === "invalid_type") return true;
  return issue.code === "invalid_value" && issue.values.every((value) => typeof value !== kind);
}

/** Text from the environment where another kind was wanted becomes that kind. True when anything changed. */
function retypeEnvironment(part: Part, issues: readonly Issue[]): boolean {
  let changed = false;
  for (const issue of issues) {
    const { node } = partAt(part, issue.path).part;
    if (node.kind !== "scalar" || node.origin !== "environment" || typeof node.value !== "string") continue;
    const value = retyped(node.value);
    changed ||= value !== node.value;
    node.value = value;
  }
  return changed;
}

/** Like isMisspelt, for what zod found: another issue is about a key beside it that is nearly the same. */
function isMisspeltIssue(issue: Issue, issues: readonly Issue[]): boolean {
  const name = String(issue.path[issue.path.length - 1] ?? "");
  const parent = JSON.stringify(issue.path.slice(0, -1));
  return issues.some(
    (other) =>
      other.code === "unrecognized_keys" &&
      JSON.stringify(other.path) === parent &&
      other.keys.some((key) => nearest(key, [name]) === name),
  );
}

function reportIssue(issue: Issue, part: Part, context: { report: Report; known: KnownKeys }): void {
  const { report } = context;
  const { part: found, rest } = partAt(part, issue.path);
  const { node } = found;
  if (node.kind === "gap") return;
  const path = [...found.path, ...rest];
  if (issue.code === "unrecognized_keys") {
    const known = context.known.get(issue.keys) ?? [];
    for (const name of issue.keys) {
      const range = childOf(found, name)?.key ?? found.key;
      reportUnknownKey(name, { range, path }, { report, known });
    }
  } else if (rest.length > 0) {
    report.add(found.key, path, { message: `cannot find \`${pathEnd(rest)}\` here: ${issue.message}` });
  } else if (issue.code === "invalid_key") {
    const message = `cannot read the key ${quoted(pathEnd(path))}: ${issue.message}`;
    report.add(found.key, path, { message });
  } else {
    const value = (node.kind === "scalar" ? node.written : null) ?? plainOf(node);
    // A schema may have a whole sentence.
    const message = /^cannot /.test(issue.message)
      ? issue.message
      : `cannot read ${quoted(value)}: ${issue.message}`;
    report.add(spotOf(found), path, { message, hints: issueHints(issue, found) });
  }
}

function issueHints(issue: Issue, { node }: Part): string[] {
  if (node.kind !== "scalar") return [];
  if (node.origin === "environment") return hiddenHints(node);
  const { file, start, end } = node.range;
  const written = file.text.slice(start, end);
  if (issue.code === "invalid_type" && issue.expected === "array")
    return [`put it into a list: [${written}]`];
  if (typeof node.value === "string") {
    if (/^wanted a (whole )?number/.test(issue.message) && /^(["'])\d+\1$/.test(written))
      return [`without quotes: ${node.value}`];
    const near = issue.code === "invalid_value" ? nearest(node.value, issue.values.map(String)) : null;
    return near === null ? [] : [`did you mean \`${near}\`?`];
  }
  return written !== "" && node.value !== null && issue.message.startsWith("wanted text")
    ? [`quote it: "${written}"`]
    : [];
}

function pathEnd(path: Path): string {
  return String(path[path.length - 1] ?? "");
}

/** The part at a path, or the last one on the way with what was not found of the path. */
function partAt(part: Part, path: readonly PropertyKey[]): { part: Part; rest: (string | number)[] } {
  let at = part;
  for (const [index, step] of path.entries()) {
    const child = childOf(at, step as string | number);
    if (child === null) return { part: at, rest: path.slice(index) as (string | number)[] };
    at = child;
  }
  return { part: at, rest: [] };
}

function hasGap({ node }: Part): boolean {
  if (node.kind === "map")
    return [...node.entries.values()].some((entry) => hasGap({ node: entry.node } as Part));
  if (node.kind === "list") return node.items.some((item) => hasGap({ node: item } as Part));
  return node.kind === "gap";
}
