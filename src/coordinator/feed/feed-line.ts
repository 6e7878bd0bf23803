import type { FeedMessage } from "../../mesh.ts";

/** A message as the feed carries it. */
export function feedLine(message: FeedMessage): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}
