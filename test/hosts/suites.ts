/**
 * The suites of test/runtime for Node and Deno: each bundled to one file, with test/hosts/adapter.ts in the place of
 * `bun:test`. What they test is the program's own code on that host's sockets, clock and fetch.
 */
import { join } from "node:path";
import { root } from "../program.ts";
import type { HostName } from "./programs.ts";

/** Besides test/runtime: of what each host has its own. */
const ofTheHost = ["test/host/fetch.test.ts"];

/** Those that stay on Bun, and why. */
export const onBunAlone: Readonly<Record<string, string>> = {
  "test/runtime/app-listener-peers.test.ts": "starts other programs by Bun",
  "test/runtime/balance/ring-hash.test.ts": "arithmetic, the same everywhere, and long",
  "test/runtime/fetch/headers-model.test.ts":
    "compares with the host's own Headers: Deno joins cookies otherwise",
  "test/runtime/fetch/pair.test.ts": "compares with the host's own classes, member by member",
  "test/runtime/http1/connections.test.ts":
    "pipelines until buffers are full, which takes long on a busy machine",
  "test/runtime/http1/nginx.test.ts": "starts nginx by Bun",
  "test/runtime/http1/reclaimed-chunks.test.ts": "only Bun's sockets take memory back",
  "test/runtime/http1/streaming.test.ts": "asserts the memory of its process, as Bun counts it",
  "test/runtime/http1/waiting-chunks.test.ts": "only Bun's sockets take memory back",
  "test/runtime/node-memory/index.test.ts": "memory that processes share needs Bun",
  "test/runtime/node-memory/limits.test.ts": "memory that processes share needs Bun",
  "test/runtime/proxy/clients.test.ts": "starts other programs by Bun",
  "test/runtime/tls/client-hello.test.ts": "reads bytes, the same everywhere, and is long",
  "test/runtime/tls/handshake-bursts.test.ts":
    "leaves handshakes that its services never answer, which keep Node's process up",
  "test/runtime/tls/peers.test.ts": "starts other programs by Bun",
  "test/runtime/tls/streaming.test.ts": "asserts the memory of its process, as Bun counts it",
};

/** Those whose own side is not what they need where Deno has it; test/hosts/program.test.ts asks the program on Deno from outside. */
export const notOnDeno: Readonly<Record<string, string>> = {
  "test/runtime/app-listener.test.ts": "its callers hear no end of some refused handshakes",
  "test/runtime/tls/client-certificates.test.ts": "their callers hear no end of some refused handshakes",
  "test/runtime/tls/handshake.test.ts": "their callers choose no ciphers, and alerts have other words",
  "test/runtime/tls/mesh-callers.test.ts": "its callers hear no end of some refused handshakes",
  "test/runtime/tls/mesh-services.test.ts":
    "Deno has the same words for every certificate that it does not believe",
  "test/runtime/tls/policy-changes.test.ts": "their callers hear no end of a connection that is reset",
  "test/runtime/tls/reload.test.ts": "their callers resume no sessions",
  "test/runtime/tls/services.test.ts":
    "Deno has the same words for every certificate that it does not believe",
};

export function suites(host: HostName): string[] {
  return [...new Bun.Glob("test/runtime/**/*.test.ts").scanSync({ cwd: root }), ...ofTheHost]
    .filter((path) => !(path in onBunAlone) && !(host === "Deno" && path in notOnDeno))
    .sort();
}

/** Writes the bundles into the folder, and returns their paths. */
export async function bundleSuites(host: HostName, folder: string): Promise<string[]> {
  const result = await Bun.build({
    entrypoints: suites(host).map((path) => join(root, path)),
    root: join(root, "test"),
    target: "node",
    format: "esm",
    outdir: join(folder, host, "suites"),
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
