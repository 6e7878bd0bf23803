import { join } from "node:path";
import { withTemporaryFolder } from "../files/temporary.ts";
import type { PluginKit, TestRun } from "../host.ts";

/** What the build puts into the compiled program; from source, both are made when they are needed. */
const typesFile = "plugin-types.kit";
const testFile = "plugin-test.kit";

const root = join(import.meta.dirname, "../../..");

export const bunPluginKit: PluginKit = {
  async types() {
    const packed = embedded(typesFile);
    if (packed !== null) {
      const bytes = Bun.gunzipSync(await packed.bytes());
      return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>;
    }
    // By a name that the bundler does not see: the compiled program has no part in it.
    const { packTypes } = await import(join(root, "build/plugin-types.ts"));
    return packTypes();
  },
  async test(run) {
    const packed = embedded(testFile);
    if (packed === null) return runTests(join(root, "src/plugin-test-preload.ts"), run);
    return withTemporaryFolder(async (folder) => {
      const preload = join(folder, "clearway-plugin-test.mjs");
      await Bun.write(preload, packed);
      return runTests(preload, run);
    });
  },
};

function embedded(name: string): Blob | null {
  return Bun.embeddedFiles.find((file) => (file as Blob & { name: string }).name === name) ?? null;
}

/** The compiled program is Bun too, when the environment says so. */
async function runTests(preload: string, { files, mode }: TestRun): Promise<number> {
  const watching = mode === "watch" ? ["--watch"] : [];
  // Nothing is fetched from a registry, whatever a test imports.
  const options = ["--no-install", "--preload", preload, ...watching];
  const child = Bun.spawn([process.execPath, "test", ...options, ...files], {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  // Ctrl-C reaches the tests as well; they end, and then this program does.
  const wait = () => {};
  const end = () => child.kill("SIGTERM");
  process.on("SIGINT", wait);
  process.on("SIGTERM", end);
  await child.exited;
  process.off("SIGINT", wait);
  process.off("SIGTERM", end);
  return child.exitCode ?? 1;
}
