/**
 * Durations, sizes and percentages: text with a unit on the outside, a plain number inside (milliseconds, bytes,
 * a fraction of 1). The zod types carry a mark in their metadata, so that a default can be written back as text.
 */
import { z } from "zod";

/** The value of `mark` in the metadata of a schema that config/ treats specially. */
export type Mark = "duration" | "size" | "percent" | "service" | "key" | "path" | "secret";

export interface DurationBounds {
  readonly minMs?: number;
  readonly maxMs?: number;
}

export interface SizeBounds {
  readonly minBytes?: number;
  readonly maxBytes?: number;
}

type Units = readonly (readonly [name: string, factor: number])[];

/** Largest first, as the formatters want them. */
const durationUnits: Units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];

const sizeUnits: Units = [
  ["GiB", 1 << 30],
  ["MiB", 1 << 20],
  ["KiB", 1 << 10],
  ["B", 1],
];

const dayMs = 24 * 3_600_000;
const gibibyte = 1 << 30;
const quantity = /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]+)$/;
const percentage = /^(\d{1,3}(?:\.\d{1,6})?)%$/;

/** What a duration looks like, for messages. */
export const durationWanted = "a duration such as 250ms, 2s or 1m";
export const sizeWanted = "a size such as 512B, 64KiB or 1MiB";
export const percentWanted = "a percentage such as 20%";

/** Whole milliseconds, or null when the text is not a duration. */
export function parseDuration(text: string): number | null {
  return parseQuantity(text, durationUnits);
}

/** Whole bytes, or null when the text is not a size. */
export function parseSize(text: string): number | null {
  return parseQuantity(text, sizeUnits);
}

/** A fraction from 0 to 1, or null when the text is not a percentage up to 100%. */
export function parsePercent(text: string): number | null {
  const match = percentage.exec(text);
  return match === null || Number(match[1]) > 100 ? null : Number(match[1]) / 100;
}

export function formatDuration(milliseconds: number): string {
  return formatQuantity(milliseconds, durationUnits);
}

export function formatSize(bytes: number): string {
  return formatQuantity(bytes, sizeUnits);
}

export function formatPercent(fraction: number): string {
  return `${Number((fraction * 100).toFixed(6))}%`;
}

/** Text such as `250ms`, `2s`, `1m`, `1h`; milliseconds after parsing. From 1 ms to a day unless bounds say otherwise. */
export function duration(bounds: DurationBounds = {}): z.ZodType<number, string> {
  return quantityType({
    mark: "duration",
    wanted: durationWanted,
    examples: ["250ms", "2s", "1m"],
    pattern: "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$",
    parse: parseDuration,
    format: formatDuration,
    min: bounds.minMs ?? 1,
    max: bounds.maxMs ?? dayMs,
  });
}

/** Text such as `512B`, `64KiB`, `1MiB`, `2GiB`; bytes after parsing. From 0 to 1 GiB unless bounds say otherwise. */
export function size(bounds: SizeBounds = {}): z.ZodType<number, string> {
  return quantityType({
    mark: "size",
    wanted: sizeWanted,
    examples: ["512B", "64KiB", "1MiB"],
    pattern: "^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)$",
    parse: parseSize,
    format: formatSize,
    min: bounds.minBytes ?? 0,
    max: bounds.maxBytes ?? gibibyte,
  });
}

/**
 * Text such as `20%`; a fraction from 0 to 1 after parsing. A bare number of per cents is understood too, which
 * config/ lets pass only under a key that is itself called `percent`.
 */
export function percent(): z.ZodType<number, string | number> {
  const error = `wanted ${percentWanted}`;
  return z
    .union([z.string(), z.number().min(0).max(100)], { error })
    .transform((value, context) => {
      const fraction = typeof value === "number" ? value / 100 : parsePercent(value);
      if (fraction !== null) return fraction;
      context.addIssue({ code: "custom", message: error, input: value });
      return z.NEVER;
    })
    .meta({ mark: "percent" satisfies Mark, examples: ["20%", "0.5%"] });
}

interface QuantityRules {
  readonly mark: Mark;
  readonly wanted: string;
  readonly examples: readonly string[];
  /** For editors. */
  readonly pattern: string;
  readonly parse: (text: string) => number | null;
  readonly format: (value: number) => string;
  readonly min: number;
  readonly max: number;
}

function quantityType(rules: QuantityRules): z.ZodType<number, string> {
  const { wanted, min, max, format } = rules;
  return z
    .string({ error: `wanted ${wanted}` })
    .transform((text, context) => {
      const value = rules.parse(text);
      if (value !== null && value >= min && value <= max) return value;
      const range = `wanted a ${rules.mark} from ${format(min)} to ${format(max)}`;
      const message = value === null ? `wanted ${wanted}` : range;
      context.addIssue({ code: "custom", message, input: text });
      return z.NEVER;
    })
    .meta({
      mark: rules.mark,
      examples: [...rules.examples],
      pattern: rules.pattern,
      bounds: { min: format(min), max: format(max) },
    });
}

function parseQuantity(text: string, units: Units): number | null {
  const match = quantity.exec(text);
  const unit = units.find(([name]) => name === match?.[2]);
  if (match === null || unit === undefined) return null;
  // Rounding hides what binary fractions do to 1.1s; what is left over was finer than the smallest unit.
  const exact = Number(match[1]) * unit[1];
  const value = Math.round(exact);
  return Math.abs(exact - value) < 1e-6 && Number.isSafeInteger(value) ? value : null;
}

function formatQuantity(value: number, units: Units): string {
  const unit =
    units.find(([, factor]) => value >= factor && value % factor === 0) ?? units[units.length - 1]!;
  return `${value / unit[1]}${unit[0]}`;
}
