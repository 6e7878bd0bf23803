import { randomFillSync } from "node:crypto";
import type { Random } from "../../machine.ts";

/** Drawing from the system for each id costs more than the rest of a trace span, so ids are drawn in bulk. */
const idsPerDraw = 256;
const idDigits = 32;

export function systemRandom(): Random {
  const bytes = Buffer.alloc((idsPerDraw * idDigits) / 2);
  let digits = "";
  let next = 0;
  return {
    fraction: () => Math.random(),
    id() {
      if (next === digits.length) {
        digits = randomFillSync(bytes).toString("hex");
        next = 0;
      }
      next += idDigits;
      return digits.slice(next - idDigits, next);
    },
  };
}
