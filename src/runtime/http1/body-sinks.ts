import type { BodySink, ChunkOwner } from "../../types.ts";

/** Takes a body that nobody wants. */
export const NOWHERE: BodySink = { data() {}, end() {}, fail() {} };

/** Takes no chunk back. */
export const NOBODY: ChunkOwner = { reclaim() {} };
