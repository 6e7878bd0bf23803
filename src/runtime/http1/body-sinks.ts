import type { BodySink } from "../../types.ts";

/** Takes a body that nobody wants. */
export const NOWHERE: BodySink = { data() {}, end() {}, fail() {} };
