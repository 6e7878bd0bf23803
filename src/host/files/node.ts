import { watch } from "node:fs";
import { readdir, readFile, realpath } from "node:fs/promises";
import type { Files } from "../../machine.ts";

export const systemFiles: Files = {
  read: (path) => readFile(path, "utf8"),
  list: async (folder) => (await readdir(folder)).sort(),
  realPath: (path) => realpath(path),
  watch(folder, changed) {
    // "rename" is what the hosts call it when a name comes or goes.
    const tell = (event: string, name: string | null) => changed(event === "change" ? name : null);
    const watcher = watch(folder, { persistent: false }, tell);
    // A watch that broke tells nothing more; its owner polls as well.
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  },
};
