/** The most of a body that is held in memory on behalf of a filter. */

/** A body read whole (`text()`, `json()` …) and kept, so that it can still be sent; one byte more rejects the read. */
export const RETAINED_BYTES_MAX = 8 * 1024 * 1024;

/** How far one copy of a cloned body may lag behind the other; beyond it the slower copy fails. */
export const CLONE_LAG_BYTES_MAX = 8 * 1024 * 1024;

/** A body being read as a web stream: its source is paused at high and resumed below low. */
export const STREAM_HIGH_BYTES = 64 * 1024;
export const STREAM_LOW_BYTES = 32 * 1024;

/** A body that a filter reads is larger than what may be held. */
export class BodyTooLarge extends Error {
  readonly kind = "body-too-large";
  readonly side: "downstream" | "upstream" = "upstream";
  readonly retryable = false;
  override readonly name = "BodyTooLarge";
}
