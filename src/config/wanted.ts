/** What zod found wrong, in the words of this project: always what was wanted. */
import type { z } from "zod";
import { isOptional } from "./marks.ts";

type RawIssue = z.core.$ZodRawIssue;

const nouns: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "a map",
  record: "a map",
  map: "a map",
  null: "nothing",
  undefined: "nothing",
};

/** The message of an issue whose schema brings none of its own; empty when only the path is of use. */
export function wantedMessage(issue: RawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `wanted ${mapOf(issue) ?? numberOf(issue) ?? nouns[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `wanted ${choice(issue.values.map(String))}`;
    case "too_small":
      return bound(issue.origin, Number(issue.minimum), issue.inclusive === false ? "more than" : "at least");
    case "too_big":
      return bound(issue.origin, Number(issue.maximum), issue.inclusive === false ? "less than" : "at most");
    case "not_multiple_of":
      return `wanted a multiple of ${issue.divisor}`;
    case "invalid_format":
      return `wanted ${issue.pattern === undefined ? issue.format : `text that matches ${issue.pattern}`}`;
    case "invalid_key":
      return issue.issues[0]?.message ?? "wanted another key";
    case "invalid_union":
      return "";
    default:
      return "wanted another value";
  }
}

/** `a map such as { max: … }`, by the first key that must be there, else by the first one. */
function mapOf({ inst }: RawIssue): string | null {
  if ((inst as z.core.$ZodType | undefined)?._zod.def.type !== "object") return null;
  const { shape } = inst as z.ZodObject;
  const keys = Object.keys(shape);
  const key = keys.find((name) => !isOptional(shape[name]!)) ?? keys[0];
  return key === undefined ? null : `a map such as { ${key}: … }`;
}

/** `a whole number from 1 to 10` */
function numberOf({ inst }: RawIssue): string | null {
  if ((inst as z.core.$ZodType | undefined)?._zod.def.type !== "number") return null;
  const { format, minValue, maxValue } = inst as z.ZodNumber;
  const noun = format === "safeint" ? "a whole number" : "a number";
  const isBounded = [minValue, maxValue].every(
    (limit) => Math.abs(limit ?? Infinity) < Number.MAX_SAFE_INTEGER,
  );
  return isBounded ? `${noun} from ${minValue} to ${maxValue}` : noun;
}

/** `a, b or c` */
export function choice(words: readonly string[]): string {
  const last = words[words.length - 1] ?? "nothing";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

/** A value as a message quotes it. */
export function quoted(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (value === null) return "nothing";
  if (typeof value === "object") {
    const kind = Array.isArray(value) ? "list" : "map";
    return Object.keys(value).length === 0 ? `an empty ${kind}` : `a ${kind}`;
  }
  return String(value);
}

function bound(origin: string, limit: number, relation: string): string {
  if (origin === "string") return `wanted ${relation} ${limit} ${limit === 1 ? "character" : "characters"}`;
  if (origin === "array" || origin === "set") {
    return `wanted ${relation} ${limit} ${limit === 1 ? "entry" : "entries"}`;
  }
  return `wanted ${relation} ${limit}`;
}
