/** What a schema takes, in words: `a duration from 1ms to 1m`, `a list of names of headers`. Markdown. */
import type { z } from "zod";
import { innerOf, inputOf, markOf, writtenDefault } from "../../src/config/marks.ts";
import type { Mark } from "../../src/units.ts";

type Schema = z.core.$ZodType;

/** Of what a mark says nothing more than the mark. */
const markWords: Readonly<Record<Exclude<Mark, "duration" | "size">, string>> = {
  percent: "[a percentage](#values)",
  service: "the name of a service",
  key: "[a key](#values)",
  path: "the path of a file",
  secret: "[a secret](#values)",
};

export function wordsOf(schema: Schema): string {
  const mark = markOf(schema);
  if (mark === "duration" || mark === "size") return `[a ${mark}](#values)${boundsOf(schema)}`;
  if (mark !== null) return markWords[mark];
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  switch (def.type) {
    case "number":
      return numberWords(schema as z.ZodNumber);
    case "boolean":
      return "`true` or `false`";
    case "enum":
      return choiceOf(Object.values(def.entries));
    case "literal":
      return choiceOf(def.values);
  }
  const wanted = wantedOf(schema);
  return wanted === null ? structureOf(schema) : escaped(wanted);
}

/** Of what can have more than a few values, and brings no words of its own. */
function structureOf(schema: Schema): string {
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  switch (def.type) {
    case "string":
      return `text${lengthOf(schema, "characters")}`;
    case "array":
      return listWords(schema, wordsOf(def.element));
    case "record":
      return `a map from names to ${wordsOf(def.valueType)}`;
    case "object":
      return mapWords(Object.keys(def.shape));
    case "union":
      return unionWords(def.options);
    case "null":
      return "nothing";
    case "unknown":
      return "anything";
    default: {
      const inner = innerOf(schema);
      if (inner === null) throw new Error(`the reference has no words for a schema of type ${def.type}`);
      return wordsOf(inner);
    }
  }
}

/** Of one kind, or a list of that kind: said once. A tuple is Hono's list of arguments, of which the page says what it is. */
function unionWords(all: readonly Schema[]): string {
  const options = all.filter((option) => option._zod.def.type !== "tuple");
  const alternatives = [...new Set(options.map(wordsOf))];
  const [first = "", ...rest] = alternatives.map((words, index) =>
    index > 0 && words === listWords(options[index]!, alternatives[0]!) ? "a list of such" : words,
  );
  return [first, ...rest.map((words) => `or ${words}`)].join(rest.length > 0 ? ", " : "");
}

function listWords(schema: Schema, each: string): string {
  const length = lengthOf(schema, "entries");
  if (each === "text") return `a list of texts${length.replace(" of", ",")}`;
  return `a list${length}, each ${each}`;
}

const keysShownMax = 8;

function mapWords(keys: readonly string[]): string {
  const shown = keys.length > keysShownMax ? keys.slice(0, keysShownMax) : keys;
  const more = keys.length - shown.length;
  return `a map of ${joined([...shown.map(code), ...(more > 0 ? [`${more} more`] : [])], "and")}`;
}

/** The default as a config writes it; empty without one. */
export function defaultWords(schema: Schema): string {
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  // Of a map with nothing in it, its keys tell.
  if (inputOf(schema)._zod.def.type === "object") return "";
  if (def.type === "prefault") return written(def.defaultValue);
  if (def.type === "default") return written(writtenDefault(schema, def.defaultValue));
  const inner = def.type === "optional" || def.type === "pipe" ? innerOf(schema) : null;
  return inner === null ? "" : defaultWords(inner);
}

/** What is a default by having nothing in it is said of its parts. */
function written(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : code(`[${value.join(", ")}]`);
  if (typeof value === "object" || value === "") return "none";
  return code(String(value));
}

/** What the problem says that stands for a wrong value, where the schema brings its own: `wanted a path, such as /check`. */
function wantedOf(schema: Schema): string | null {
  const { error, checks = [] } = schema._zod.def as z.core.$ZodTypeDef;
  const errors = [...checks.map((check) => check._zod.def.error), error];
  for (const each of errors) {
    const said = each?.({ code: "custom", input: undefined, path: [] } as never);
    const message = typeof said === "object" ? said?.message : said;
    const wanted = /^wanted ([^;]+)/.exec(message ?? "")?.[1];
    if (wanted !== undefined) return wanted;
  }
  return null;
}

function boundsOf(schema: Schema): string {
  const bounds = (schema as z.ZodType).meta()?.bounds as { readonly min: string; readonly max: string };
  return ` from ${code(bounds.min)} to ${code(bounds.max)}`;
}

function numberWords({ minValue, maxValue, format }: z.ZodNumber): string {
  const noun = format === "safeint" ? "a whole number" : "a number";
  const low = bounded(minValue);
  const high = bounded(maxValue);
  if (low !== null && high !== null) return `${noun} from ${low} to ${high}`;
  if (low !== null) return `${noun}, at least ${low}`;
  return high === null ? noun : `${noun}, at most ${high}`;
}

/** Null for what is only the end of what a number can say. */
function bounded(limit: number | null): number | null {
  return limit === null || Math.abs(limit) >= Number.MAX_SAFE_INTEGER ? null : limit;
}

function lengthOf(schema: Schema, noun: string): string {
  const limits = Object.assign({}, ...(schema._zod.def.checks ?? []).map((check) => check._zod.def)) as {
    readonly minimum?: number;
    readonly maximum?: number;
  };
  const { minimum = 0, maximum } = limits;
  if (maximum === undefined) return "";
  return minimum > 1 ? ` of ${minimum} to ${maximum} ${noun}` : ` of at most ${maximum} ${noun}`;
}

function choiceOf(values: readonly unknown[]): string {
  return joined(
    values.map((value) => code(String(value))),
    "or",
  );
}

function joined(words: readonly string[], last: "and" | "or"): string {
  const [end = "", ...rest] = words.toReversed();
  return rest.length === 0 ? end : `${rest.toReversed().join(", ")} ${last} ${end}`;
}

export function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

/** What Markdown would take for more than letters, outside of code. */
export function escaped(text: string): string {
  return text
    .split("`")
    .map((piece, index) =>
      index % 2 === 1 ? piece.replaceAll("|", "\\|") : piece.replaceAll(/[*<|_]/g, "\\$&"),
    )
    .join("`");
}
