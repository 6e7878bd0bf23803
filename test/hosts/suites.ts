/**
 * The suites of test/runtime for Node and Deno: each bundled to one file, with test/hosts/adapter.ts in the place of
 * `bun:test`. What they test is the program's own code on that host's sockets, clock and fetch.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Those that stay on Bun, and why. */
export const onBunAlone: Readonly<Record<string, string>> = {
  "test/runtime/balance/ring-hash.test.ts": "arithmetic, the same everywhere, and long",
  "test/runtime/fetch/headers-model.test.ts":
    "compares with the host's own Headers: Deno joins cookies otherwise",
  "test/runtime/fetch/pair.test.ts": "compares with the host's own classes, member by member",
  "test/runtime/http1/connections.test.ts":
    "pipelines until buffers are full, which takes long on a busy machine",
  "test/runtime/http1/fuzz.test.ts": "takes longer than all others together",
  "test/runtime/http1/nginx.test.ts": "starts nginx by Bun",
  "test/runtime/http1/streaming.test.ts": "asserts the memory of its process, as Bun counts it",
  "test/runtime/node-memory/index.test.ts": "memory that processes share needs Bun",
  "test/runtime/probe.test.ts": "needs TLS",
};

export function suites(): string[] {
  return [...new Bun.Glob("test/runtime/**/*.test.ts").scanSync({ cwd: root })]
    .filter((path) => !(path in onBunAlone) && !path.includes("/tls/"))
    .sort();
}

/** Writes the bundles into the folder, and returns their paths. */
export async function bundleSuites(folder: string): Promise<string[]> {
  const result = await Bun.build({
    entrypoints: suites().map((path) => join(root, path)),
    root: join(root, "test"),
    target: "node",
    format: "esm",
    outdir: join(folder, "suites"),
    naming: "[dir]/[name].mjs",
    // So that a suite that leans on Bun fails here even if Bun's types let it pass.
    define: { Bun: "undefined" },
    plugins: [
      {
        name: "adapter",
        setup(build) {
          build.onResolve({ filter: /^bun:test$/ }, () => ({ path: join(root, "test/hosts/adapter.ts") }));
        },
      },
    ],
  });
  return result.outputs.map(({ path }) => path);
}
