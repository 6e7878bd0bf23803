/** What loading a configuration read: the answer to "has any of it changed?", whatever it includes. */
import type { Files } from "../machine.ts";

/** By path: contents of files, names in folders; what could not be read is there as its error. */
export interface Reading {
  readonly files: ReadonlyMap<string, string>;
  readonly folders: ReadonlyMap<string, string>;
}

/** Notes one outcome of reading a file, or of listing a folder. */
export type NoteRead = (of: keyof Reading, path: string, outcome: string) => void;

/** Files whose reading is noted; also what somebody else read. */
export interface NotedFiles extends Files {
  readonly note: NoteRead;
}

/** The same files, and what is read through them from now on; `tell` hears of each at once. */
export function recordReads(
  files: Files,
  tell: NoteRead = () => {},
): { readonly files: NotedFiles; readonly reading: Reading } {
  const reading = { files: new Map<string, string>(), folders: new Map<string, string>() };
  const note: NoteRead = (of, path, outcome) => {
    reading[of].set(path, outcome);
    tell(of, path, outcome);
  };
  return {
    reading,
    files: {
      ...files,
      note,
      read: (path) => recorded(files.read(path), (outcome) => note("files", path, outcome)),
      list: (folder) => recorded(files.list(folder), (outcome) => note("folders", folder, outcome)),
    },
  };
}

/** Reads all of it once more. */
export async function readAgain(files: Files, reading: Reading): Promise<Reading> {
  const now = recordReads(files);
  const all = [
    ...[...reading.files.keys()].map((path) => now.files.read(path)),
    ...[...reading.folders.keys()].map((folder) => now.files.list(folder)),
  ];
  await Promise.allSettled(all);
  return now.reading;
}

/** Whether nothing changed at all. */
export function sameReading(left: Reading, right: Reading): boolean {
  return sameContents(left, right) && sameEntries(left.folders, right.folders);
}

/** Whether the same files say the same; a folder may have got names that did not matter. */
export function sameContents(left: Reading, right: Reading): boolean {
  return sameEntries(left.files, right.files);
}

function sameEntries(left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>): boolean {
  return left.size === right.size && [...left].every(([path, text]) => right.get(path) === text);
}

/** A first character keeps a text apart from an error that reads the same. */
async function recorded<Result>(
  reading: Promise<Result>,
  record: (outcome: string) => void,
): Promise<Result> {
  try {
    const result = await reading;
    record(`=${JSON.stringify(result)}`);
    return result;
  } catch (error) {
    record(`!${error}`);
    throw error;
  }
}
