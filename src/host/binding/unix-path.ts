import { once } from "node:events";
import { lstat, rm } from "node:fs/promises";
import { connect } from "node:net";

/**
 * Whether a unix socket can be bound: a path that nobody listens on is taken only by the file that a killed process
 * left, which is removed. Rejects with an Error of the code EADDRINUSE.
 */
export async function tryUnixPath(path: string): Promise<void> {
  const socket = connect({ path });
  try {
    await once(socket, "connect");
  } catch (error) {
    const { code } = error as { code?: string };
    // Any file refuses a connection.
    if (code === "ECONNREFUSED" && (await lstat(path)).isSocket()) await rm(path);
    return;
  }
  socket.destroy();
  throw Object.assign(new Error(`cannot bind ${path}: EADDRINUSE`), { code: "EADDRINUSE" });
}
