import { createLocalJWKSet } from "jose";
import type { WebKey } from "./web-keys.ts";

/** Finds the key that a token says it was signed with. */
export type FindKey = ReturnType<typeof createLocalJWKSet>;

/** Another object whenever the keys are others. */
export interface KeySet {
  readonly find: FindKey;
}

export function keySetOf(keys: readonly WebKey[]): KeySet {
  return { find: createLocalJWKSet({ keys: keys as never }) };
}
