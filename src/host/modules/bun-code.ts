import { createHash } from "node:crypto";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { BunPlugin, Loader } from "bun";
import type { CodeFault, Files, ProvidedModules, ReadCode, UserCode } from "../../machine.ts";
import { accessTo, loadProvided } from "./provided.ts";

/** A bundle goes to every worker with its configuration. */
const bundleBytesMax = 8 * 1024 * 1024;
/** Files of the user in one bundle; those of packages are not counted. */
const filesMax = 1_000;
const faultsMax = 20;
/** Longer lines are not shown. */
const lineCharactersMax = 400;

/** Of modules that the program provides. */
const namespace = "clearway";
/** What `.tsx` means unless the file or its tsconfig.json says otherwise. Bun takes it; its types do not have it yet. */
const jsxOfHono: object = { jsx: { runtime: "automatic", importSource: "hono/jsx", development: false } };

/** Made by Bun's bundler, which is in the compiled program too. */
export function bunUserCode(provided: ProvidedModules): UserCode {
  return {
    read: (path, files) => new Bundling(path, files, provided).read(),
    async run(source) {
      if (source.kind === "file") throw new Error(`cannot run ${source.path}: wanted a bundle`);
      await loadProvided(source.imports, provided);
      const url = URL.createObjectURL(new Blob([source.text], { type: "text/javascript" }));
      try {
        return await import(url);
      } finally {
        URL.revokeObjectURL(url);
        // What nobody uses any more of it can then be collected; its text never is.
        delete require.cache[url];
      }
    },
  };
}

class Bundling {
  readonly #path: string;
  readonly #files: Pick<Files, "read">;
  readonly #provided: ProvidedModules;
  readonly #imports = new Set<string>();
  readonly #packages = new Set<string>();
  #own = 0;

  constructor(path: string, files: Pick<Files, "read">, provided: ProvidedModules) {
    this.#path = path;
    this.#files = files;
    this.#provided = provided;
  }

  async read(): Promise<ReadCode> {
    await this.#files.read(this.#path);
    const result = await Bun.build({
      entrypoints: [resolve(this.#path)],
      target: "bun",
      format: "esm",
      sourcemap: "inline",
      throw: false,
      plugins: [this.#plugin],
      ...jsxOfHono,
    });
    if (!result.success) {
      const faults = result.logs.filter(({ level }) => level === "error").slice(0, faultsMax);
      for (const fault of faults) await this.#noteMissing(fault);
      return { ok: false, faults: faults.map((fault) => this.#fault(fault)) };
    }
    const [bundle, ...others] = result.outputs;
    if (others.length > 0) return this.#refuse(othersFault(others.map(({ path }) => path)));
    const text = this.#withOwnNames(await bundle!.text());
    if (Buffer.byteLength(text) > bundleBytesMax) {
      const sizeMib = (Buffer.byteLength(text) / 1024 / 1024).toFixed(1);
      return this.#refuse(
        `with all that it imports it has ${sizeMib} MiB: wanted at most ${bundleBytesMax / 1024 / 1024} MiB`,
      );
    }
    const version = createHash("sha256").update(text).digest("hex").slice(0, 12);
    return { ok: true, source: { kind: "bundle", text, imports: [...this.#imports].sort() }, version };
  }

  get #plugin(): BunPlugin {
    return {
      name: "clearway",
      setup: (build) => {
        build.onResolve({ filter: /^(clearway|hono|zod)(\/|$)/ }, ({ path }) =>
          this.#provided.has(path) ? { path, namespace } : undefined,
        );
        build.onLoad({ filter: /.*/, namespace }, async ({ path }) => {
          await loadProvided([path], this.#provided);
          this.#imports.add(path);
          return { loader: "js", contents: accessTo(path) };
        });
        build.onLoad({ filter: /.*/, namespace: "file" }, ({ path, loader }) => this.#load(path, loader));
      },
    };
  }

  /** Code is taken as it was read here: what is watched is what is in the bundle. */
  async #load(path: string, loader: Loader): Promise<{ contents: string; loader: Loader } | undefined> {
    const folder = packageFolder(path);
    if (folder !== null) {
      const description = this.#spelled(join(folder, "package.json"));
      if (!this.#packages.has(description)) {
        this.#packages.add(description);
        await this.#files.read(description).catch(() => {});
      }
      return undefined;
    }
    this.#own += 1;
    if (this.#own > filesMax) throw new Error(`wanted at most ${filesMax} files of one filter`);
    const contents = await this.#files.read(this.#spelled(path));
    return /^(jsx?|tsx?)$/.test(loader) ? { contents, loader } : undefined;
  }

  /** Looked for, so that it is seen when it appears. */
  async #noteMissing(fault: BuildMessage | ResolveMessage): Promise<void> {
    if (!("specifier" in fault) || fault.position === null) return;
    const { specifier, position } = fault;
    if (!/^\.{0,2}\//.test(specifier)) return;
    const wanted = this.#spelled(resolve(dirname(position.file), specifier));
    for (const ending of ["", ".ts", ".tsx", ".js"])
      await this.#files.read(`${wanted}${ending}`).catch(() => {});
  }

  #fault({ message, position }: BuildMessage | ResolveMessage): CodeFault {
    const said = faultText(message);
    if (position === null || position.file === "") return { message: said, place: null };
    // Without a line where what is missing was not written: the runtime of JSX.
    const [line, column] = position.line < 1 ? [1, 1] : [position.line, position.column];
    const { length } = position;
    const lineText = position.line < 1 ? null : position.lineText;
    const place = { line, column, text: shownLine(lineText), length: Math.max(1, length) };
    return { message: said, place: { file: this.#spelled(position.file), ...place } };
  }

  #refuse(message: string): ReadCode {
    return { ok: false, faults: [{ message, place: null }] };
  }

  #spelled(path: string): string {
    return isAbsolute(this.#path) ? path : relative(process.cwd(), path);
  }

  /** The source map has the names that problems and stack traces show, and not the sources themselves. */
  #withOwnNames(text: string): string {
    // In two pieces: Bun would take this text, in a bundle of the program, for the begin of that one's own map.
    const marker = ["\n//# source", "MappingURL=data:application/json;base64,"].join("");
    const at = text.lastIndexOf(marker);
    if (at < 0) return text;
    const map = JSON.parse(Buffer.from(text.slice(at + marker.length), "base64").toString());
    const sources = map.sources.map((source: string) =>
      source.startsWith(`${namespace}:`) ? source : this.#spelled(resolve(source)),
    );
    const named = {
      version: map.version,
      sources,
      sourcesContent: sources.map(() => ""),
      mappings: map.mappings,
      names: [],
    };
    const code = text.slice(0, at).replace(/\n\/\/# debugId=\w+\s*$/, "\n");
    return `${code}${marker}${Buffer.from(JSON.stringify(named)).toString("base64")}\n`;
  }
}

function packageFolder(path: string): string | null {
  const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
  return found?.[1] ?? null;
}

function othersFault(paths: readonly string[]): string {
  const names = paths.map((path) => path.replace(/^.*\//, "")).slice(0, 5);
  return `it imports what is not code and cannot go to other processes: ${names.join(", ")}`;
}

function shownLine(text: string | null): string | null {
  return text === null || text.length > lineCharactersMax ? null : text;
}

function faultText(message: string): string {
  const missing = /^Could not resolve: ("[^"]*")/.exec(message);
  if (missing !== null) return `cannot find ${missing[1]}`;
  return message.charAt(0).toLowerCase() + message.slice(1).replaceAll(`"${namespace}:`, '"');
}
