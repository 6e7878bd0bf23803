/** How long, how wide, and with which parameters: what the syntax tree tells. */
import {
  isCallExpression,
  isExportAssignment,
  isFunctionLikeDeclaration,
  isIdentifier,
  isLiteralTypeNode,
  isSignatureDeclaration,
  isUnionTypeNode,
  type Node,
  type ParameterDeclaration,
  type SourceFile,
  SyntaxKind,
} from "typescript/unstable/ast";
import { exceptions } from "./exceptions.ts";
import { type Files, type Finding, lineAt, lineOf, nodesOf, type Source } from "./tree.ts";

const fileLinesMax = 400;
const functionLinesMax = 60;
const parametersMax = 3;

export function fileLengthFindings(files: Files): Finding[] {
  return Object.entries(files)
    .filter(([path]) => path.endsWith(".ts"))
    .map(([path, text]) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines >= fileLinesMax)
    .map(({ path, lines }) => ({
      path,
      line: lines,
      message: `${lines} lines; a file has fewer than ${fileLinesMax}`,
    }));
}

/** A `describe` or `test` callback groups tests: it is no function in the sense of this rule. */
export function functionLengthFindings(sources: readonly Source[]): Finding[] {
  return eachNode(sources, ({ tree }, node) => {
    if (!isFunctionLikeDeclaration(node) || groupsTests(node)) return null;
    const first = lineOf(tree, node);
    const lines = lineAt(tree, node.end) - first + 1;
    if (lines < functionLinesMax) return null;
    return { line: first, message: `${nameOf(node)} has ${lines} lines; a function has fewer than 60` };
  });
}

function groupsTests(node: Node): boolean {
  const call = node.parent;
  return call !== undefined && isCallExpression(call) && /^(describe|test)\b/.test(call.expression.getText());
}

export function parameterFindings(sources: readonly Source[]): Finding[] {
  return eachNode(sources.filter(isCode), ({ path, tree }, node) => {
    if (!isSignatureDeclaration(node) && !isFunctionLikeDeclaration(node)) return null;
    const count = countOf(node.parameters ?? []);
    if (count <= parametersMax || exceptions.parameters.has(`${path} ${nameOf(node)}`)) return null;
    return {
      line: lineOf(tree, node),
      message: `${nameOf(node)} has ${count} parameters; three, then an object`,
    };
  });
}

/** `bytes, start, end` is one thing, a span: as an object it would be an allocation for each piece of a message. */
function countOf(parameters: readonly ParameterDeclaration[]): number {
  const names = parameters.map((parameter) => parameter.name.getText());
  return names.join().includes("bytes,start,end") ? names.length - 2 : names.length;
}

/** A reader of `send(true)` cannot know what is true: a named union or an options field says it. */
export function booleanParameterFindings(sources: readonly Source[]): Finding[] {
  return eachNode(sources.filter(isCode), ({ path, tree }, node) => {
    if (node.kind !== SyntaxKind.Parameter) return null;
    const parameter = node as ParameterDeclaration;
    if (!isBoolean(parameter.type) && !isBoolean(parameter.initializer)) return null;
    const name = parameter.name.getText(tree);
    if (exceptions.booleans.has(`${path} ${name}`)) return null;
    return { line: lineOf(tree, node), message: `the parameter "${name}" is a boolean` };
  });
}

function isBoolean(node: Node | undefined): boolean {
  if (node === undefined) return false;
  if (isUnionTypeNode(node)) return node.types.some((member) => isBoolean(member));
  if (isLiteralTypeNode(node)) return isBoolean(node.literal);
  return [SyntaxKind.BooleanKeyword, SyntaxKind.TrueKeyword, SyntaxKind.FalseKeyword].includes(node.kind);
}

export function anyFindings(sources: readonly Source[]): Finding[] {
  return eachNode(sources.filter(isPortable), ({ tree }, node) =>
    node.kind === SyntaxKind.AnyKeyword
      ? { line: lineOf(tree, node), message: "the type any, outside src/host/" }
      : null,
  );
}

export function defaultExportFindings(sources: readonly Source[]): Finding[] {
  const mayExportDefault = /^(src\/filters|plugins|test|examples|bench\/filters)\//;
  return eachNode(
    sources.filter(({ path }) => !mayExportDefault.test(path)),
    ({ tree }, node) => {
      const byKeyword =
        node.kind === SyntaxKind.DefaultKeyword && node.parent?.kind !== SyntaxKind.DefaultClause;
      if (!byKeyword && !isExportAssignment(node)) return null;
      return { line: lineOf(tree, node), message: "a default export; only filters have one" };
    },
  );
}

/** Globals and methods that only src/host/ may name. */
const hostGlobals = new Set([
  "Bun",
  "Deno",
  "process",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "performance",
]);
const hostMembers = new Set(["Date.now", "Math.random", "crypto.randomUUID", "crypto.getRandomValues"]);

export function hostNameFindings(sources: readonly Source[]): Finding[] {
  return sources.filter(isPortable).flatMap((source) => {
    const declared = new Set<string>();
    for (const node of nodesOf(source.tree)) {
      if (isIdentifier(node) && node.parent !== undefined && declares(node.parent)) declared.add(node.text);
    }
    return eachNode([source], ({ tree }, node) => {
      const name = hostNameAt(tree, node);
      if (name === null || declared.has(name)) return null;
      return { line: lineOf(tree, node), message: `${name}, outside src/host/` };
    });
  });
}

function hostNameAt(tree: SourceFile, node: Node): string | null {
  if (node.kind === SyntaxKind.NewExpression && /^new Date(\(\))?$/.test(node.getText(tree)))
    return "new Date()";
  if (node.kind === SyntaxKind.PropertyAccessExpression) {
    const member = node.getText(tree).replace(/^globalThis\./, "");
    const isGlobal = hostGlobals.has(member) && member !== node.getText(tree);
    return isGlobal || hostMembers.has(member) ? member : null;
  }
  return isIdentifier(node) && hostGlobals.has(node.text) && isReference(node) ? node.text : null;
}

/** Whether the name of such a node hides a global of the same name. */
function declares(node: Node): boolean {
  return [SyntaxKind.VariableDeclaration, SyntaxKind.Parameter, SyntaxKind.BindingElement].includes(
    node.kind,
  );
}

/** Whether an identifier reads a variable: not the name of a member, nor a declaration of its own. */
function isReference(node: Node): boolean {
  const parent = node.parent as (Node & { name?: Node; right?: Node }) | undefined;
  if (parent === undefined) return true;
  if (parent.kind === SyntaxKind.QualifiedName) return parent.right !== node;
  return parent.name !== node;
}

/** Short names that the house writes out. */
const abbreviations = new Set(
  "req res resp conn idx ctx cfg conf msg opts opt fn cb buf len str num tmp val prev cur curr elem evt err pos addr svc".split(
    " ",
  ),
);

export function abbreviationFindings(sources: readonly Source[]): Finding[] {
  return eachNode(sources.filter(isCode), ({ path, tree }, node) => {
    if (!isIdentifier(node) || !abbreviations.has(node.text) || isReference(node)) return null;
    if (exceptions.abbreviations.has(`${path} ${node.text}`)) return null;
    const parent = node.parent;
    // `{ err: error }` takes somebody else's name apart, `x.err` uses it: neither chooses it.
    if (parent?.kind === SyntaxKind.PropertyAccessExpression) return null;
    return { line: lineOf(tree, node), message: `"${node.text}" is an abbreviation` };
  });
}

function eachNode(
  sources: readonly Source[],
  look: (source: Source, node: Node) => { line: number; message: string } | null,
): Finding[] {
  const findings: Finding[] = [];
  for (const source of sources) {
    for (const node of nodesOf(source.tree)) {
      const found = look(source, node);
      if (found !== null) findings.push({ path: source.path, ...found });
    }
  }
  return findings;
}

/** Code that ships: what a person learns the house from. */
function isCode({ path }: Source): boolean {
  return path.startsWith("src/") || path.startsWith("plugins/");
}

/** Code that ships and runs on every host. */
function isPortable(source: Source): boolean {
  return isCode(source) && !source.path.startsWith("src/host/");
}

function nameOf(node: Node): string {
  const { name, parent } = node as Node & { name?: Node };
  const named = name ?? (parent as (Node & { name?: Node }) | undefined)?.name;
  return named === undefined ? "a function" : named.getText();
}
