import { Command } from "commander";
import type { Terminal } from "../machine.ts";
import { newPlugin, type PluginFiles, writeTypes } from "./plugin-new.ts";

/** What the host can do for who writes filters. */
export interface PluginKit {
  /** What an editor needs for a filter and its test, by path. */
  types(): Promise<Readonly<Record<string, string>>>;
  /** Runs tests and returns their exit code. */
  test(run: { readonly files: readonly string[]; readonly mode: "once" | "watch" }): Promise<number>;
}

export interface PluginVerb {
  readonly terminal: Terminal;
  /** Relative paths are relative to the current folder. */
  readonly files: PluginFiles;
  /** Null on a host that cannot. */
  readonly kit: (() => Promise<PluginKit>) | null;
  /** Says that the verb needs another host; returns the exit code. */
  needsBun(verb: string): number;
}

export function pluginCommand(verb: PluginVerb, finish: (code: number) => void): Command {
  const whenThere = async (name: string, run: (kit: PluginKit) => Promise<number>) =>
    finish(verb.kit === null ? verb.needsBun(`plugin ${name}`) : await orSay(name, run(await verb.kit())));
  /** The disk may be full, or somebody else's. */
  const orSay = (name: string, running: Promise<number>) =>
    running.catch((error: Error) => {
      verb.terminal.error(`clearway: plugin ${name} cannot go on: ${error.message}`);
      return 1;
    });
  return new Command("plugin")
    .description("write filters of your own, and test them")
    .helpCommand(false)
    .addCommand(
      new Command("new")
        .description("write a filter, its test, and the types for an editor, into the current folder")
        .argument("<name>", "its name, e.g. tenant: the filter is plugins/tenant.ts")
        .option("--upstream", "a filter around the call to the service, and not around the caller's request")
        .action((name: string, { upstream }: { upstream?: true }) =>
          whenThere("new", (kit) => {
            const shape = upstream ? "upstream" : "middleware";
            return newPlugin({ name, shape }, { ...verb, types: kit.types });
          }),
        ),
    )
    .addCommand(
      new Command("test")
        .description(
          "run the tests in plugins/, each filter in a real chain, with no network and in virtual time",
        )
        .argument("[files...]", "these alone")
        .option("--watch", "run them again whenever a file is saved")
        .action((files: string[], { watch }: { watch?: true }) =>
          whenThere("test", (kit) => runTests(files, watch ? "watch" : "once", { ...verb, kit })),
        ),
    )
    .addCommand(
      new Command("types")
        .description("write the types for an editor again, as after an update of clearway")
        .action(() => whenThere("types", (kit) => writeTypes({ ...verb, types: kit.types }))),
    );
}

const testFile = /\.test\.(ts|tsx|js|mjs)$/;

async function runTests(
  named: readonly string[],
  mode: "once" | "watch",
  { terminal, files, kit }: Pick<PluginVerb, "terminal" | "files"> & { readonly kit: PluginKit },
): Promise<number> {
  const found = named.length > 0 ? named : await testsIn("plugins", files);
  if (found.length === 0) {
    terminal.error(
      "clearway: there is nothing to test: no file plugins/*.test.ts is here; `clearway plugin new NAME` writes a filter with its test",
    );
    return 1;
  }
  for (const path of named) {
    const [folder, name] = splitPath(path);
    if ((await namesIn(folder, files)).includes(name)) continue;
    terminal.error(`clearway: cannot test ${JSON.stringify(path)}: it is not there`);
    return 1;
  }
  // Otherwise it would be a part of a name that is looked for.
  return kit.test({ files: found.map((path) => (/^\.{0,2}\//.test(path) ? path : `./${path}`)), mode });
}

async function testsIn(folder: string, files: PluginFiles): Promise<string[]> {
  return (await namesIn(folder, files))
    .filter((name) => testFile.test(name))
    .map((name) => `${folder}/${name}`);
}

async function namesIn(folder: string, files: PluginFiles): Promise<string[]> {
  try {
    return await files.list(folder);
  } catch {
    return [];
  }
}

function splitPath(path: string): [folder: string, name: string] {
  const at = path.lastIndexOf("/");
  return at < 0 ? [".", path] : [path.slice(0, at + 1), path.slice(at + 1)];
}
