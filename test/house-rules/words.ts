/** Names of files and words in them. */
import type { Files, Finding } from "./tree.ts";

/** Names that a tool or a custom fixes. */
const fixedNames = new Set(["README.md", "CHANGELOG.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md"]);
const kebabCase = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

export function fileNameFindings(files: Files): Finding[] {
  return Object.keys(files).flatMap((path) =>
    path.split("/").flatMap((name): Finding[] => {
      if (fixedNames.has(name)) return [];
      if (!kebabCase.test(name)) return [{ path, line: 1, message: `"${name}" is not kebab-case` }];
      const [word = ""] = name.split(".");
      if (/^(utils?|helpers?|misc|common)$/.test(word)) {
        return [{ path, line: 1, message: `"${name}" says nothing about what is in it` }];
      }
      return [];
    }),
  );
}

const words: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, message: "work left behind" },
  { pattern: /@ts-(ignore|nocheck)/, message: "the compiler silenced" },
  { pattern: /(?<![\w.:/~-])\/(root|Users|home\/[a-z]+)\b/, message: "a path of one machine" },
];

/** The rules' own files and their test quote what they forbid. */
const quotesRules = /^test\/house-rules/;

export function wordFindings(files: Files): Finding[] {
  return eachLine(files, (path, text) => {
    if (quotesRules.test(path)) return null;
    return words.find(({ pattern }) => pattern.test(text))?.message ?? null;
  });
}

/** Words with which a comment persuades instead of saying why. */
const persuasion =
  /\b(simply|obviously|clearly|of course|basically|just works|blazing|seamless|magic(al)?)\b/i;

export function commentFindings(files: Files): Finding[] {
  return eachLine(files, (path, text) => {
    if (quotesRules.test(path)) return null;
    const prose = path.endsWith(".md") ? text : (/(?:^|\s)(?:\/\/|\/?\*\*?|#) (.*)$/.exec(text)?.[1] ?? "");
    const word = persuasion.exec(prose)?.[0];
    return word === undefined ? null : `"${word}" persuades; say why instead`;
  });
}

const readmeLinesMax = 20;

/** Every example is a folder with a number, a README of at most 20 lines and a config. */
export function exampleFindings(files: Files): Finding[] {
  const folders = new Set(
    Object.keys(files)
      .filter((path) => path.startsWith("examples/"))
      .map((path) => path.split("/").slice(0, 2).join("/")),
  );
  return [...folders].flatMap((folder): Finding[] => {
    const problem = exampleProblem(files, folder);
    return problem === null ? [] : [{ path: folder, line: 1, message: problem }];
  });
}

function exampleProblem(files: Files, folder: string): string | null {
  if (!/^examples\/\d\d-[a-z-]+$/.test(folder)) return "an example is a folder named like 01-hello";
  const readme = files[`${folder}/README.md`];
  if (readme === undefined) return "has no README.md";
  const lines = readme.trimEnd().split("\n").length;
  if (lines > readmeLinesMax) return `README.md has ${lines} lines; at most ${readmeLinesMax}`;
  const configs = ["clearway.yaml", "mesh.yaml"].filter((name) => files[`${folder}/${name}`] !== undefined);
  return configs.length === 0 ? "has no clearway.yaml and no mesh.yaml" : null;
}

function eachLine(files: Files, look: (path: string, text: string) => string | null): Finding[] {
  return Object.entries(files).flatMap(([path, text]) =>
    text.split("\n").flatMap((content, index): Finding[] => {
      const message = look(path, content);
      return message === null ? [] : [{ path, line: index + 1, message }];
    }),
  );
}
