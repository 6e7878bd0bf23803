/** The project's files as text and, for TypeScript, as syntax trees. */
import { readFileSync } from "node:fs";
import type { Node, SourceFile } from "typescript/unstable/ast";
import { API } from "typescript/unstable/async";
import { createVirtualFileSystem } from "typescript/unstable/fs";

/** Text by path; paths are relative to the root of the project and use "/". */
export type Files = Readonly<Record<string, string>>;

export interface Source {
  readonly path: string;
  readonly tree: SourceFile;
  /** Specifiers as written: of imports, re-exports and `import()`, types included. */
  readonly imports: readonly { readonly specifier: string; readonly line: number }[];
}

/** One rule broken at one place. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** The folders in which a person writes code or prose. */
const written = "{src,plugins,examples,test,bench,build,docs,.ci}/**/*";
const writtenAtRoot = "*.{md,json,jsonc,toml,ts}";
const textual = /\.(ts|tsx|js|mjs|json|md|yaml|yml|toml|sh|html|css|svg)$|(^|\/)(run|LICENSE)$/;

export function readTree(root: string): Files {
  const files: Record<string, string> = {};
  for (const pattern of [written, writtenAtRoot]) {
    for (const path of new Bun.Glob(pattern).scanSync({ cwd: root, dot: true })) {
      if (textual.test(path) && !/(^|\/)(package-lock\.json$|node_modules\/)|^bench\/results\//.test(path)) {
        files[path] = readFileSync(`${root}/${path}`, "utf8");
      }
    }
  }
  return files;
}

/** Parses only: nothing outside `files` is read, and types are not resolved. */
export async function parse(files: Files): Promise<Source[]> {
  const paths = Object.keys(files)
    .filter((path) => path.endsWith(".ts"))
    .sort();
  const options = { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true, noEmit: true };
  const virtual: Record<string, string> = {
    "/project/tsconfig.json": JSON.stringify({ compilerOptions: options, files: paths }),
  };
  for (const path of paths) virtual[`/project/${path}`] = files[path] ?? "";
  const compiler = new API({ cwd: "/project", fs: createVirtualFileSystem(virtual) });
  try {
    const opened = await compiler.updateSnapshot({ openProjects: ["/project/tsconfig.json"] });
    const program = opened.getProject("/project/tsconfig.json")?.program;
    if (program === undefined) throw new Error("the compiler opened no project");
    const sources: Source[] = [];
    for (const path of paths) {
      const tree = await program.getSourceFile(`/project/${path}`);
      if (tree === undefined) throw new Error(`the compiler has no tree of ${path}`);
      sources.push({ path, tree, imports: importsOf(tree) });
    }
    return sources;
  } finally {
    await compiler.close();
  }
}

function importsOf(tree: SourceFile): { specifier: string; line: number }[] {
  return tree.imports.map((specifier) => ({
    specifier: "text" in specifier ? String(specifier.text) : "",
    line: lineOf(tree, specifier),
  }));
}

/** The line, counted from 1, on which a node begins. */
export function lineOf(tree: SourceFile, node: Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

export function lineAt(tree: SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

/** Every node below `node`, parents before children. */
export function* nodesOf(node: Node): Generator<Node> {
  const children: Node[] = [];
  node.forEachChild((child) => {
    children.push(child);
  });
  for (const child of children) {
    yield child;
    yield* nodesOf(child);
  }
}
