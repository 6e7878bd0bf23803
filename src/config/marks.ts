/** Walks a schema and a value side by side, to find what the schema marks: services, percentages, units. */
import type { z } from "zod";
import { formatDuration, formatPercent, formatSize, type Mark } from "../units.ts";
import type { Path } from "./problem.ts";

export interface Marked {
  /** Untyped is what the schema takes whatever it is. */
  readonly mark: Mark | "untyped";
  readonly value: unknown;
  readonly path: Path;
}

const depthMax = 32;

/** Every marked value, by the first alternative that takes it where there are several. */
export function markedValues(schema: z.core.$ZodType, value: unknown, path: Path = []): Marked[] {
  if (value === undefined || value === null || path.length > depthMax) return [];
  const mark = markOf(schema);
  if (mark !== null) return [{ mark, value, path }];
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  switch (def.type) {
    case "unknown":
    case "any":
      return [{ mark: "untyped", value, path }];
    case "object": {
      const { shape, catchall } = def;
      return Object.entries(value).flatMap(([name, item]) => {
        const field = Object.hasOwn(shape, name) ? shape[name] : catchall;
        return field === undefined ? [] : markedValues(field, item, [...path, name]);
      });
    }
    case "record":
      return Object.entries(value).flatMap(([name, item]) =>
        markedValues(def.valueType, item, [...path, name]),
      );
    case "array":
      return (value as unknown[]).flatMap((item, index) => markedValues(def.element, item, [...path, index]));
    case "tuple":
      return (value as unknown[]).flatMap((item, index) => {
        const element = def.items[index] ?? def.rest;
        return element ? markedValues(element, item, [...path, index]) : [];
      });
    case "union": {
      const taken = def.options.find((option) => (option as z.ZodType).safeParse(value).success);
      return taken === undefined ? [] : markedValues(taken, value, path);
    }
    case "intersection":
      return [...markedValues(def.left, value, path), ...markedValues(def.right, value, path)];
    default: {
      const inner = innerOf(schema);
      return inner === null ? [] : markedValues(inner, value, path);
    }
  }
}

/** The value with the defaults of its schema filled in, written as a config writes them. */
export function withDefaults(schema: z.core.$ZodType, value: unknown): unknown {
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  if (value === undefined) return defaultOf(schema);
  if (def.type === "object" && typeof value === "object" && value !== null) {
    const filled: Record<string, unknown> = { ...value };
    for (const [name, field] of Object.entries(def.shape)) {
      const item = withDefaults(field, filled[name]);
      if (item !== undefined) filled[name] = item;
    }
    return filled;
  }
  if (def.type === "array" && Array.isArray(value))
    return value.map((item) => withDefaults(def.element, item));
  const inner = markOf(schema) === null ? innerOf(schema) : null;
  return inner === null ? value : withDefaults(inner, value);
}

export function markOf(schema: z.core.$ZodType): Mark | null {
  const mark = (schema as z.ZodType).meta()?.mark;
  return typeof mark === "string" ? (mark as Mark) : null;
}

/** What a default is in the config: a number of milliseconds as the text that stands for it. */
export function writtenDefault(schema: z.core.$ZodType, value: unknown): unknown {
  const marked = markOf(schema) ?? markOf(innerOf(schema) ?? schema);
  if (marked === "key") return Object.values(value as object).join(":");
  if (typeof value !== "number" || marked === null) return value;
  if (marked === "duration") return formatDuration(value);
  if (marked === "size") return formatSize(value);
  return marked === "percent" ? formatPercent(value) : value;
}

function defaultOf(schema: z.core.$ZodType): unknown {
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  if (def.type === "default") return writtenDefault(schema, def.defaultValue);
  if (def.type === "prefault") return withDefaults(def.innerType, def.defaultValue);
  return undefined;
}

/** Whether a key may be left out. */
export function isOptional(schema: z.core.$ZodType): boolean {
  return schema._zod.def.type === "optional" || (schema as z.ZodType).safeParse(undefined).success;
}

/** What reads the value first, inside all that is wrapped around it. */
export function inputOf(schema: z.core.$ZodType): z.core.$ZodType {
  const inner = innerOf(schema);
  return inner === null ? schema : inputOf(inner);
}

/** What a wrapper wraps, on its input side; null for a schema that wraps nothing. */
export function innerOf(schema: z.core.$ZodType): z.core.$ZodType | null {
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  switch (def.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "nonoptional":
    case "readonly":
    case "catch":
      return def.innerType;
    case "pipe":
      return def.in;
    case "lazy":
      return def.getter();
    default:
      return null;
  }
}
