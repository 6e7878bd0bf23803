/** Users' own code on Node and Deno, which make no bundles: the host loads it itself, under a new URL for each version. */
import { createHash } from "node:crypto";
// Not by name: a bundle for Bun, which has no registerHooks, would not start.
import nodeModule from "node:module";
import { isAbsolute, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CodeFault, Files, ProvidedModules, ReadCode, UserCode } from "../../machine.ts";
import { accessTo, loadProvided } from "./provided.ts";

/** The part of a URL by which a version is told from others. */
const versionKey = "clearway-version";
const providedScheme = "clearway:";
/** Files of the user that one filter may have. */
const filesMax = 1_000;

export function nodeUserCode(provided: ProvidedModules): UserCode {
  return process.versions.deno === undefined ? new HookedCode(provided) : denoCode;
}

/**
 * Deno asks no hooks. What users import from the program is in its deno.json; what they import of their own is loaded
 * once, and only the file itself anew.
 */
const denoCode: UserCode = {
  async read(path, files) {
    const text = await files.read(path);
    return { ok: true, source: { kind: "file", path: resolve(path) }, version: versionOf([text]) };
  },
  async run(source, version) {
    try {
      return await import(urlOf(source, version));
    } catch (error) {
      // Coloured for a terminal, and with the version that only this program knows.
      if (error instanceof Error)
        error.message = error.message
          .replaceAll(/\u001b\[\d*m/g, "")
          .replaceAll(new RegExp(`\\?${versionKey}=\\w+`, "g"), "");
      throw error;
    }
  },
};

/** Node asks a hook for every import: those of one version lead to that version. */
class HookedCode implements UserCode {
  readonly #provided: ProvidedModules;
  /** Files by the versions that imported them, while they are read. */
  readonly #seen = new Map<string, Set<string>>();
  #readings = 0;
  #hooked: Promise<void> | null = null;

  constructor(provided: ProvidedModules) {
    this.#provided = provided;
  }

  /** Only by loading it is known what it imports; so it runs once for this, where it is tried anyway. */
  async read(path: string, files: Pick<Files, "read">): Promise<ReadCode> {
    await files.read(path);
    if (nodeModule.registerHooks === undefined) {
      const message = `this is Node ${process.versions.node}, which cannot load files of your own: wanted 22.15 or newer`;
      return { ok: false, faults: [{ message, place: null }] };
    }
    const source = { kind: "file", path: resolve(path) } as const;
    const reading = `reading-${++this.#readings}`;
    const seen = new Set([source.path]);
    this.#seen.set(reading, seen);
    const spelled = (file: string) => (isAbsolute(path) ? file : relative(process.cwd(), file));
    try {
      await this.run(source, reading);
    } catch (error) {
      await Promise.all([...seen].map((file) => files.read(spelled(file)).catch(() => "")));
      const fault = loadFault(error, spelled);
      if (fault === null) throw error;
      return { ok: false, faults: [fault] };
    } finally {
      this.#seen.delete(reading);
    }
    const texts = await Promise.all([...seen].sort().map((file) => files.read(spelled(file))));
    return { ok: true, source, version: versionOf(texts) };
  }

  async run(source: Parameters<UserCode["run"]>[0], version: string) {
    this.#hooked ??= this.#hook();
    await this.#hooked;
    return import(urlOf(source, version));
  }

  async #hook(): Promise<void> {
    await loadProvided(this.#provided.keys(), this.#provided);
    nodeModule.registerHooks({
      resolve: (specifier, context, next) => {
        const version = versionIn(context.parentURL);
        if (version !== null && this.#provided.has(specifier)) {
          return { url: `${providedScheme}${specifier}`, format: "module", shortCircuit: true };
        }
        if (version !== null && /^\.{0,2}\//.test(specifier))
          this.#note(version, specifier, context.parentURL!);
        const found = next(specifier, context);
        if (version === null || !found.url.startsWith("file:") || found.url.includes("/node_modules/"))
          return found;
        this.#note(version, found.url, found.url);
        return { ...found, url: `${found.url}?${versionKey}=${version}` };
      },
      load: (url, context, next) => {
        if (!url.startsWith(providedScheme)) return next(url, context);
        const source = accessTo(url.slice(providedScheme.length));
        return { format: "module", source, shortCircuit: true };
      },
    });
  }

  /** Also what will not be found, so that it is seen when it appears. */
  #note(version: string, specifier: string, base: string): void {
    const seen = this.#seen.get(version);
    if (seen !== undefined && seen.size < filesMax) seen.add(fileURLToPath(new URL(specifier, base).href));
  }
}

function urlOf(source: Parameters<UserCode["run"]>[0], version: string): string {
  if (source.kind === "bundle") throw new Error("cannot run a bundle: this host loads files by itself");
  return `${pathToFileURL(source.path).href}?${versionKey}=${version}`;
}

function versionIn(url: string | undefined): string | null {
  return url === undefined ? null : new URL(url).searchParams.get(versionKey);
}

function versionOf(texts: readonly string[]): string {
  return createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 12);
}

/** What the loader says, and not the code itself; null for what that throws. */
function loadFault(error: unknown, spelled: (file: string) => string): CodeFault | null {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  const missing = /^Cannot find (?:module|package) '([^']*)' imported from (.*)$/.exec(message ?? "");
  if (missing !== null) {
    const [, wanted = "", from = ""] = missing;
    const name = isAbsolute(wanted) ? spelled(wanted) : wanted;
    return { message: `cannot find ${JSON.stringify(name)}, which ${spelled(from)} imports`, place: null };
  }
  if (code?.startsWith("ERR_") !== true) return null;
  return { message: message ?? code, place: null };
}
