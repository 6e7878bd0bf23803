/** The routes of one host, by path: a tree whose edges are segments. */
import type { RequestHead } from "../../types.ts";
import type { Steps } from "../slices.ts";
import { type Candidate, type Candidates, createCandidates } from "./candidates.ts";

/** Of one host. */
export function* createPaths<T>(candidates: readonly Candidate<T>[]): Steps<Paths<T>> {
  const groups = new Map<string | null, Candidate<T>[]>();
  for (const candidate of candidates) {
    const key = patternKey(candidate.match.path);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [candidate]);
    else known.push(candidate);
    yield;
  }
  const paths = new Paths<T>();
  for (const [pattern, group] of groups) {
    paths.add(pattern, createCandidates(group));
    yield;
  }
  return paths;
}

/**
 * Better paths first: one without `:param` and `*`, then segment by segment from the left a literal, a `:param`, a `*`.
 * A node is looked at at most once for a request, so the cost of going back is bounded by the number of nodes, and for
 * routes whose `:param` and literals do not stand beside each other there is none.
 */
export class Paths<T> {
  private readonly literal = new Map<string, Candidates<T>>();
  private readonly root: Node<T> = { literals: null, parameter: null, end: null, star: null };
  private any: Candidates<T> | null = null;

  /** `pattern` is a `patternKey`. */
  add(pattern: string | null, candidates: Candidates<T>): void {
    if (pattern === null) this.any = candidates;
    else if (isLiteral(pattern)) this.literal.set(pattern, candidates);
    else insert(this.root, pattern, candidates);
  }

  first(head: RequestHead): Candidate<T> | null {
    const { path } = head;
    return (
      this.literal.get(path)?.first(head) ??
      (path.charCodeAt(0) === slashCode ? descend(this.root, 0, head) : null) ??
      this.any?.first(head) ??
      null
    );
  }
}

interface Node<T> {
  literals: Map<string, Node<T>> | null;
  parameter: Node<T> | null;
  /** Routes that end here, and routes whose `*` follows. */
  end: Candidates<T> | null;
  star: Candidates<T> | null;
}

const slashCode = 0x2f;

/** Two paths with the same key take the same requests: `/a/:id` and `/a/:name`. */
function patternKey(pattern: string | null): string | null {
  return pattern === null ? null : pattern.replace(/\/:[^/]*/g, "/:");
}

function isLiteral(pattern: string): boolean {
  return !pattern.endsWith("/*") && !pattern.split("/").includes(":");
}

function insert<T>(root: Node<T>, pattern: string, candidates: Candidates<T>): void {
  const endsInStar = pattern.endsWith("/*");
  const segments = (endsInStar ? pattern.slice(0, -2) : pattern).split("/").slice(1);
  let node = root;
  for (const segment of segments) node = segment === ":" ? parameterChild(node) : literalChild(node, segment);
  if (endsInStar) node.star = candidates;
  else node.end = candidates;
}

function parameterChild<T>(node: Node<T>): Node<T> {
  node.parameter ??= { literals: null, parameter: null, end: null, star: null };
  return node.parameter;
}

function literalChild<T>(node: Node<T>, segment: string): Node<T> {
  node.literals ??= new Map();
  let child = node.literals.get(segment);
  if (child === undefined) {
    child = { literals: null, parameter: null, end: null, star: null };
    node.literals.set(segment, child);
  }
  return child;
}

/** `at`: where the node's own segment ends, so at a "/" or at the end of the path. */
function descend<T>(node: Node<T>, at: number, head: RequestHead): Candidate<T> | null {
  const { path } = head;
  if (at === path.length) return node.end?.first(head) ?? node.star?.first(head) ?? null;
  const start = at + 1;
  if (node.literals !== null || node.parameter !== null) {
    const slash = path.indexOf("/", start);
    const end = slash === -1 ? path.length : slash;
    const child = node.literals?.get(path.slice(start, end));
    const found = child === undefined ? null : descend(child, end, head);
    if (found !== null) return found;
    // A `:param` takes one character or more.
    if (node.parameter !== null && end > start) {
      const taken = descend(node.parameter, end, head);
      if (taken !== null) return taken;
    }
  }
  return node.star?.first(head) ?? null;
}
