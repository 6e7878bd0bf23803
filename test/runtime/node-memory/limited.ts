/** What a test and the processes that it starts take from: limits that give nothing back while the test runs. */
import { systemClock } from "../../../src/host/clock/node.ts";
import type { LimitRules } from "../../../src/types.ts";

const yearMs = 365 * 24 * 3_600_000;

export const wallClock = systemClock;
export const oneRules: LimitRules = { requests: 1, perMs: yearMs, burst: 300_000, keys: 1_000 };
export const manyRules: LimitRules = { requests: 1, perMs: yearMs, burst: 25, keys: 10_000 };

export function limitedKey(number: number): string {
  return `198.51.${number >> 8}.${number & 255}`;
}
