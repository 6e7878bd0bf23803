/** What the config reads from the disk: through the host, and noted, so that somebody can watch it. */
import { joinPath } from "./file-path.ts";

/** What the host offers. A missing file or directory throws an Error with `code: "ENOENT"`. */
export interface ConfigFiles {
  read(path: string): Promise<string>;
  /** The names in a directory. */
  list(directory: string): Promise<string[]>;
}

export type FileResult<Value> =
  | { readonly ok: true; readonly value: Value }
  /** `reason` follows "cannot read …: ". */
  | { readonly ok: false; readonly missing: boolean; readonly reason: string };

/** Reads by the names that problems show, and remembers every name. */
export class WatchedFiles {
  private readonly files: ConfigFiles;
  private readonly directory: string;
  private readonly seen = new Set<string>();

  /** Relative names are relative to `directory`. */
  constructor(files: ConfigFiles, directory: string) {
    this.files = files;
    this.directory = directory;
  }

  /** All that was read or looked for. */
  get names(): string[] {
    return [...this.seen];
  }

  async read(name: string, charactersMax: number): Promise<FileResult<string>> {
    const result = await this.attempt(name, (path) => this.files.read(path));
    if (!result.ok || result.value.length <= charactersMax) return result;
    return { ok: false, missing: false, reason: `it is longer than ${charactersMax} characters` };
  }

  list(name: string): Promise<FileResult<string[]>> {
    return this.attempt(name, (path) => this.files.list(path));
  }

  /** For whoever reads by itself, by paths that are relative to what the host decides. */
  get plain(): Pick<ConfigFiles, "read"> {
    return {
      read: (path) => {
        this.seen.add(path);
        return this.files.read(path);
      },
    };
  }

  private async attempt<Value>(
    name: string,
    run: (path: string) => Promise<Value>,
  ): Promise<FileResult<Value>> {
    const path = joinPath(this.directory, name);
    this.seen.add(path);
    try {
      return { ok: true, value: await run(path) };
    } catch (error) {
      const { code } = error as { readonly code?: string };
      return { ok: false, missing: code === "ENOENT", reason: reasons.get(code ?? "") ?? reasonOf(error) };
    }
  }
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "it is not there"],
  ["EACCES", "this program may not read it"],
  ["EISDIR", "it is a folder"],
  ["ENOTDIR", "a part of its path is no folder"],
  ["ENAMETOOLONG", "its name is too long"],
]);

/** Not the path that a system error ends with: it is named already, or must not be. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/, \w+ '.*'$/s, "") : String(error);
}
