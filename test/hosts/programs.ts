/** Node and Deno as package.json pins them, and how each runs test files that test/hosts/suites.ts made. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../program.ts";

export type HostName = "Node" | "Deno";

interface HostProgram {
  readonly path: string;
  /** Runs these files and writes a JUnit report. */
  test(files: readonly string[], xml: string): string[];
}

export const nodePath = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
export const denoPath = join(root, `node_modules/@deno/linux-${process.arch}-glibc/deno`);

export const hostPrograms: Readonly<Record<HostName, HostProgram>> = {
  Node: {
    path: nodePath,
    test: (files, xml) => [
      nodePath,
      "--test",
      "--test-concurrency=1",
      ...["--test-reporter=junit", `--test-reporter-destination=${xml}`],
      ...["--test-reporter=dot", "--test-reporter-destination=stdout"],
      ...files,
    ],
  },
  Deno: {
    path: denoPath,
    test: (files, xml) => [
      denoPath,
      "test",
      "--quiet",
      "--reporter=dot",
      "--allow-all",
      "--no-check",
      `--junit-path=${xml}`,
      ...files,
    ],
  },
};

/** Null when it is there; otherwise why its tests are skipped. */
export function missingHost(host: HostName): string | null {
  const { path } = hostPrograms[host];
  return existsSync(path) ? null : `skipped: needs ${path} (npm ci installs it on x64)`;
}
