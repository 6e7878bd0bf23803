/** A mesh document of which only the files came: checked here, without an environment, other files, or anybody's code. */
import { isForeign } from "../../config/filter-names.ts";
import { checkConfig, type LoadOptions, readConfig } from "../../config/load.ts";
import { formatProblem, formatSummary, type Paint } from "../../config/problem.ts";
import type { CheckedDocument, DocumentFile } from "../../mesh.ts";
import { Refusal } from "../refusal.ts";

export type FileCheckParts = Pick<LoadOptions, "findFilters" | "certificates" | "clock">;

const plain = (text: string) => text;
const unpainted: Paint = { place: plain, path: plain, message: plain, quiet: plain, mark: plain };
const seeAlso = "`clearway apply -f FILE` reads such things where they are, and sends what comes of it";

/** Rejects with a Refusal that holds every problem. */
export async function checkFiles(
  files: readonly DocumentFile[],
  parts: FileCheckParts,
): Promise<CheckedDocument> {
  const [main] = files;
  if (main === undefined) throw new Refusal("document-invalid", "there is no file of the document");
  const options: LoadOptions = {
    ...parts,
    file: main.name,
    files: onlyThese(files),
    environment: {},
    version: 0,
    wanted: "mesh",
  };
  const source = await readConfig(options);
  // It would run here, in the middle of the mesh.
  const foreign = [...source.names.keys()].find(isForeign);
  if (foreign !== undefined) {
    throw new Refusal(
      "document-invalid",
      `it names the filter "${foreign}", which is somebody's code: ${seeAlso}`,
    );
  }
  const { document, problems } = await checkConfig(source, options);
  if (document !== null) return document;
  const texts = problems.map((problem) => formatProblem(problem, unpainted));
  throw new Refusal("document-invalid", [...texts, formatSummary(problems)].join("\n"));
}

function onlyThese(files: readonly DocumentFile[]): LoadOptions["files"] {
  const texts = new Map(files.map(({ name, text }) => [name, text]));
  const missing = () => Object.assign(new Error("ENOENT"), { code: "ENOENT" });
  return {
    read: async (path) => {
      const text = texts.get(path);
      if (text === undefined) throw missing();
      return text;
    },
    list: async (folder) => {
      const prefix = folder === "." ? "" : `${folder}/`;
      const names = [...texts.keys()].filter((path) => path.startsWith(prefix));
      if (names.length === 0) throw missing();
      return names.map((path) => path.slice(prefix.length)).filter((name) => !name.includes("/"));
    },
  };
}
