/**
 * What an editor needs beside a filter in a folder with nothing else in it, as texts by path: the declarations of
 * `clearway/plugin` and `clearway/plugin/test` as the compiler writes them, and those of Hono, zod and `bun:test` that
 * are reached from what a filter may import. `clearway plugin new` writes them to `.clearway/plugin.types`.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { pluginImports } from "../src/plugin-imports.ts";

export type Texts = Record<string, string>;

const root = join(import.meta.dirname, "..");
const packages = join(root, "node_modules");

const own = { "clearway/plugin": "plugin.d.ts", "clearway/plugin/test": "plugin-test.d.ts" };

export async function packTypes(): Promise<Texts> {
  const texts: Texts = {
    "bun-test.d.ts": readFileSync(join(packages, "bun-types/test.d.ts"), "utf8"),
    "buffer.d.ts": bufferTypes,
    "LICENSES.txt": licences(),
  };
  const declarations = await declare(Object.values(own).map((name) => name.replace(".d.ts", ".ts")));
  const ownFiles = { read: (path: string) => declarations[path] ?? null };
  for (const [name, file] of Object.entries(own)) {
    addReached(texts, "clearway/src", { files: ownFiles, entry: file });
    texts[`${name}.d.ts`] = facade(name, `clearway/src/${file}`, declarations[file]!);
  }
  for (const name of pluginImports.keys()) {
    const [packageName = ""] = name.split("/");
    if (packageName === "clearway") continue;
    const entry = typesOf(packageName, name);
    const folder = `${packageName}/package`;
    const files = { read: (path: string) => readPackaged(join(packages, packageName, path)) };
    addReached(texts, folder, { files, entry });
    texts[facadePath(name)] = facade(name, `${folder}/${entry}`, files.read(entry)!);
  }
  return texts;
}

/** The compiler's declarations of these modules of `src/`, and of all that they import, by path. */
async function declare(modules: readonly string[]): Promise<Texts> {
  const folder = mkdtempSync(join(tmpdir(), "clearway-types-"));
  try {
    const compiler = Bun.spawnSync(
      [
        process.execPath,
        join(packages, "typescript/bin/tsc"),
        ...["--ignoreConfig", "--declaration", "--emitDeclarationOnly", "--noCheck", "--outDir", folder],
        ...["--target", "ESNext", "--module", "ESNext", "--moduleResolution", "bundler", "--strict"],
        ...["--lib", "ESNext,DOM,DOM.Iterable,DOM.AsyncIterable", "--types", "bun", "--skipLibCheck"],
        ...["--exactOptionalPropertyTypes", "--allowImportingTsExtensions", "--rootDir", join(root, "src")],
        ...modules.map((module) => join(root, "src", module)),
      ],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, BUN_BE_BUN: "1" } },
    );
    // It complains of other modules, which nobody declares; what is needed and missing is noticed where it is read.
    if (compiler.exitCode === null) throw new Error("cannot declare the types: the compiler was ended");
    const texts: Texts = {};
    for (const path of new Bun.Glob("**/*.d.ts").scanSync({ cwd: folder })) {
      texts[path] = readFileSync(join(folder, path), "utf8");
    }
    return texts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Reached {
  readonly files: { read(path: string): string | null };
  readonly entry: string;
}

/** Adds a file and, one after another, those of the same package that it names. */
function addReached(texts: Texts, folder: string, { files, entry }: Reached): void {
  const open = [entry];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const place = `${folder}/${path}`;
    if (place in texts) continue;
    const text = files.read(path);
    if (text === null) throw new Error(`cannot find the types ${place}`);
    texts[place] = text;
    for (const [, specifier] of text.matchAll(/(?:from|import|import\()\s*["'](\.[^"']*)["']/g)) {
      open.push(declarationOf(posix.join(posix.dirname(path), specifier!), files));
    }
  }
}

/** The declaration file that a specifier names, with or without an ending. */
function declarationOf(path: string, files: Reached["files"]): string {
  const bare = path.replace(/(\.d)?\.[cm]?[jt]s$/, "");
  for (const candidate of [`${bare}.d.ts`, `${bare}/index.d.ts`, `${path}.d.ts`, `${path}/index.d.ts`]) {
    if (files.read(candidate) !== null) return candidate;
  }
  throw new Error(`cannot find the types of ${path}`);
}

function readPackaged(path: string): string | null {
  return existsSync(path) && path.endsWith(".d.ts") ? readFileSync(path, "utf8") : null;
}

type Target = string | { readonly [condition: string]: Target };

/** Where a package has the types of one of its modules, from the package's folder. */
function typesOf(packageName: string, name: string): string {
  const { exports } = JSON.parse(readFileSync(join(packages, packageName, "package.json"), "utf8"));
  const wanted = name === packageName ? "." : `.${name.slice(packageName.length)}`;
  const pattern = Object.keys(exports).find((key) => matches(key, wanted));
  let target: Target | undefined = exports[pattern ?? wanted];
  while (typeof target === "object") target = target.types ?? target.import ?? target.default;
  if (target === undefined) throw new Error(`${packageName} says nothing of the types of ${name}`);
  const star = pattern?.includes("*") ? wanted.slice(pattern.indexOf("*")) : "";
  return posix.normalize(target.replace("*", star)).replace(/(\.d)?\.[cm]?[jt]s$/, ".d.ts");
}

function matches(key: string, wanted: string): boolean {
  return key === wanted || (key.endsWith("/*") && wanted.startsWith(key.slice(0, -1)));
}

function facadePath(name: string): string {
  return name.includes("/") ? `${name}.d.ts` : `${name}/index.d.ts`;
}

/** A module under the name by which it is imported: `tsconfig.json` can map names to places, not to packages. */
function facade(name: string, target: string, text: string): string {
  const up = posix.relative(posix.dirname(facadePath(name)), target.replace(/\.d\.ts$/, ""));
  const specifier = JSON.stringify(up.startsWith(".") ? up : `./${up}`);
  const lines = [`export * from ${specifier};`];
  if (/\bexport default\b|\bas default\b/.test(text)) lines.push(`export { default } from ${specifier};`);
  return `${lines.join("\n")}\n`;
}

/** Node's Buffer, as far as a filter that writes to sockets meets it; whoever installs @types/node has all of it. */
const bufferTypes = `interface Buffer extends Uint8Array {
  toString(encoding?: "utf8" | "latin1" | "hex" | "base64" | "base64url", start?: number, end?: number): string;
}
`;

function licences(): string {
  const licenceOf = (name: string) => `${name}\n\n${readFileSync(join(packages, name, "LICENSE"), "utf8")}`;
  const bun = "bun-types (bun-test.d.ts)\n\nThe MIT License; https://github.com/oven-sh/bun\n";
  return [licenceOf("hono"), licenceOf("zod"), bun].join(`\n${"-".repeat(72)}\n\n`);
}
