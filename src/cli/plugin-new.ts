/** What `clearway plugin new` writes and says. A file that is there already is never touched. */
import type { Terminal } from "../machine.ts";
import { filterText, readmeText, type Shape, testText } from "./plugin-texts.ts";

/** The current folder. */
export interface PluginFiles {
  /** The names in a folder, sorted. */
  list(folder: string): Promise<string[]>;
  read(path: string): Promise<string>;
  /** False when there is something of this name already, which stays as it is. */
  writeNew(path: string, text: string): Promise<boolean>;
  /** Makes the folder hold these texts, by path, and nothing else. */
  replaceFolder(folder: string, texts: Readonly<Record<string, string>>): Promise<void>;
}

export interface NewParts {
  readonly terminal: Terminal;
  readonly files: PluginFiles;
  types(): Promise<Readonly<Record<string, string>>>;
}

export interface NewPlugin {
  readonly name: string;
  readonly shape: Shape;
}

const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const nameCharactersMax = 63;
/** With a dot, which no service has in its name: `.clearway/NAME` is the state of a node. */
const typesFolder = ".clearway/plugin.types";

/** Returns the exit code. */
export async function newPlugin(plugin: NewPlugin, parts: NewParts): Promise<number> {
  const { name } = plugin;
  const { terminal, files } = parts;
  const fault = nameFault(name);
  if (fault !== null) {
    terminal.error(`clearway: ${fault}`);
    return 1;
  }
  const filter = `plugins/${name}.ts`;
  const test = `plugins/${name}.test.ts`;
  if (!(await files.writeNew(filter, filterText(plugin)))) {
    terminal.error(`clearway: cannot write ${filter}: it is there already, and is kept; wanted another name`);
    return 1;
  }
  terminal.out(`wrote ${filter}, the filter`);
  const done = (await files.writeNew(test, testText(plugin))) ? "wrote" : "kept";
  terminal.out(`${done} ${test}, its test`);
  if (await files.writeNew("plugins/README.md", readmeText)) terminal.out("wrote plugins/README.md");
  await writeTypes(parts);
  terminal.out(
    [
      "",
      "next:",
      "  clearway plugin test           runs the test; --watch runs it at every save",
      "  a route of clearway.yaml       has it among its filters:",
      `      filters: [{ ./${filter}: { value: blue } }]`,
    ].join("\n"),
  );
  return 0;
}

/** Null for a good name. */
function nameFault(name: string): string | null {
  if (namePattern.test(name) && name.length <= nameCharactersMax) return null;
  const bare = name
    .replace(/^.*\//, "")
    .replace(/(\.test)?\.[cm]?[jt]s$/, "")
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[-0-9]+|-+$/g, "");
  const meant = namePattern.test(bare) && bare.length <= nameCharactersMax ? `; did you mean ${bare}?` : "";
  return `cannot call a filter ${JSON.stringify(name)}: wanted small letters, digits and single dashes, at most ${nameCharactersMax}, such as rate-limit${meant}`;
}

/** The types, and a `tsconfig.json` where there is none. Returns the exit code. */
export async function writeTypes({ terminal, files, types }: NewParts): Promise<number> {
  const texts = await types();
  await files.replaceFolder(typesFolder, { ...texts, "tsconfig.json": json(typesConfig) });
  const written = await files.writeNew("tsconfig.json", json(folderConfig));
  terminal.out(`wrote ${written ? "tsconfig.json and " : ""}${typesFolder}, the types for an editor`);
  if (written || (await files.read("tsconfig.json")).includes(typesFolder)) return 0;
  terminal.out(`kept tsconfig.json: for the types it needs "extends": "${folderConfig.extends}"`);
  return 0;
}

const folderConfig = { extends: `./${typesFolder}/tsconfig.json`, include: ["plugins"] };

const typesConfig = {
  compilerOptions: {
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "bundler",
    moduleDetection: "force",
    lib: ["ESNext", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    types: [],
    strict: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
    paths: Object.fromEntries([
      ["clearway/*", ["./clearway/*.d.ts"]],
      ...["hono", "zod"].flatMap((name) => [
        [name, [`./${name}/index.d.ts`]],
        [`${name}/*`, [`./${name}/*.d.ts`]],
      ]),
    ]),
  },
  files: ["bun-test.d.ts", "buffer.d.ts"],
};

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
