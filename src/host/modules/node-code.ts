/** Users' own code on Node and Deno, which make no bundles: it is loaded by the host itself, anew for each version. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ProvidedModules, UserCode } from "../../machine.ts";

export function nodeUserCode(_provided: ProvidedModules): UserCode {
  return {
    async read(path, files) {
      const text = await files.read(path);
      const version = createHash("sha256").update(text).digest("hex").slice(0, 12);
      return { ok: true, source: { kind: "file", path: resolve(path) }, version };
    },
    run(source, version) {
      if (source.kind === "bundle") throw new Error("cannot run a bundle: this host loads files by itself");
      return import(`${pathToFileURL(source.path).href}?version=${version}`);
    },
  };
}
