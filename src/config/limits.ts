/** Limits and deadlines: the defaults, and how a listener's or a service's own go over the general ones. */
import type { z } from "zod";
import type { MessageLimits } from "../snapshot.ts";
import { formatSize } from "../units.ts";
import { checkFields } from "./check.ts";
import { type limitsGrammar, nodeLimitsGrammar } from "./grammar.ts";
import { childOf, type Part } from "./located.ts";
import type { Report } from "./problem.ts";

export type WrittenLimits = Partial<z.output<typeof limitsGrammar>>;

export const defaultLimits: MessageLimits = {
  headerBytes: 60 * 1024,
  headerFields: 100,
  requestLineBytes: 8 * 1024,
  trailerBytes: 8 * 1024,
  chunkExtensionBytes: 4 * 1024,
  messageExtensionBytes: 16 * 1024,
  bufferHighBytes: 64 * 1024,
  bufferLowBytes: 32 * 1024,
  handshakeTimeoutMs: 5_000,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  silenceTimeoutMs: 300_000,
  routeTimeoutMs: 15_000,
  connections: 10_000,
};

/** Ten times what a worker has under load, and less than a machine that carries such a load. */
export const workerMemoryBytes = 2 ** 30;

/** Services of its mesh that one node uses: a coordinator tells it of 1000, and its own is one of them. */
export const usedServicesMax = 999;

/** What is set for all at the root of the config. */
export interface NodeLimits {
  readonly limits: MessageLimits;
  readonly workerMemoryBytes: number;
}

/** Null when they are wrong. */
export function readNodeLimits(root: Part, report: Report): NodeLimits | null {
  const part = childOf(root, "limits");
  if (part === null) return { limits: defaultLimits, workerMemoryBytes };
  const { some, complete } = checkFields(nodeLimitsGrammar, part, { report });
  const { workerMemory, ...written } = some;
  const limits = mergeLimits(defaultLimits, written, { part, report });
  return complete ? { limits, workerMemoryBytes: workerMemory ?? workerMemoryBytes } : null;
}

/** Which limit may not be above which, by their names in the config. */
const ordered = [
  { low: "requestLineBytes", high: "headerBytes" },
  { low: "chunkExtensionBytes", high: "messageExtensionBytes" },
  { low: "bufferLow", high: "bufferHigh" },
] as const;

/** The names in the config beside those of the snapshot; every other name is the same. */
export const limitNames: readonly (readonly [written: keyof WrittenLimits, field: keyof MessageLimits])[] = [
  ["headerBytes", "headerBytes"],
  ["headerFields", "headerFields"],
  ["requestLineBytes", "requestLineBytes"],
  ["trailerBytes", "trailerBytes"],
  ["chunkExtensionBytes", "chunkExtensionBytes"],
  ["messageExtensionBytes", "messageExtensionBytes"],
  ["bufferHigh", "bufferHighBytes"],
  ["bufferLow", "bufferLowBytes"],
  ["handshakeTimeout", "handshakeTimeoutMs"],
  ["headerTimeout", "headerTimeoutMs"],
  ["idleTimeout", "idleTimeoutMs"],
  ["silenceTimeout", "silenceTimeoutMs"],
  ["routeTimeout", "routeTimeoutMs"],
  ["connections", "connections"],
];

/** `part` is where `written` was written, for what contradicts itself there; null when nothing was. */
export function mergeLimits(
  base: MessageLimits,
  written: WrittenLimits,
  context: { readonly part: Part | null; readonly report: Report },
): MessageLimits {
  const merged: Record<keyof MessageLimits, number> = { ...base };
  for (const [name, field] of limitNames) merged[field] = written[name] ?? base[field];
  for (const { low, high } of ordered) {
    const lowField = fieldOf(low);
    const highField = fieldOf(high);
    if (merged[lowField] <= merged[highField]) continue;
    // One that was lowered alone takes its partner along.
    if (written[low] === undefined)
      merged[lowField] = low === "bufferLow" ? merged[highField] / 2 : merged[highField];
    else complain({ low, value: merged[lowField], high, limit: merged[highField] }, context);
  }
  return merged;
}

function complain(
  wrong: { readonly low: string; readonly value: number; readonly high: string; readonly limit: number },
  context: { readonly part: Part | null; readonly report: Report },
): void {
  const part = context.part === null ? null : childOf(context.part, wrong.low);
  if (part === null) return;
  const written = formatSize(wrong.value);
  const message = `cannot use ${written}: wanted at most ${wrong.high}, which is ${formatSize(wrong.limit)}`;
  context.report.add(part.node.range, part.path, { message });
}

function fieldOf(name: keyof WrittenLimits): keyof MessageLimits {
  return limitNames.find(([written]) => written === name)![1];
}
