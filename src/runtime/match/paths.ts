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
  /** Null for a host without literal paths. */
  private literal: Map<string, Candidates<T>> | null = null;
  private readonly root = newNode<T>();
  private any: Candidates<T> | null = null;

  /** `pattern` is a `patternKey`. */
  add(pattern: string | null, candidates: Candidates<T>): void {
    if (pattern === null) this.any = candidates;
    else if (isLiteral(pattern)) {
      this.literal ??= new Map();
      this.literal.set(pattern, candidates);
    } else insert(this.root, pattern, candidates);
  }

  first(head: RequestHead): Candidate<T> | null {
    const { path } = head;
    return (
      this.literal?.get(path)?.first(head) ??
      (path.charCodeAt(0) === slashCode ? descend(this.root, 0, head) : null) ??
      this.any?.first(head) ??
      null
    );
  }
}

interface Node<T> {
  /** The only literal segment that may follow, and where it leads: most nodes have no other, and this needs no table. */
  literal: string | null;
  child: Node<T> | null;
  /** Where there are several. */
  literals: Map<string, Node<T>> | null;
  parameter: Node<T> | null;
  /** Routes that end here, and routes whose `*` follows. */
  end: Candidates<T> | null;
  star: Candidates<T> | null;
}

function newNode<T>(): Node<T> {
  return { literal: null, child: null, literals: null, parameter: null, end: null, star: null };
}

const slashCode = 0x2f;

/** Two paths with the same key take the same requests: `/a/:id` and `/a/:name`. */
function patternKey(pattern: string | null): string | null {
  return pattern?.includes("/:") ? pattern.replace(/\/:[^/]*/g, "/:") : pattern;
}

function isLiteral(pattern: string): boolean {
  return !pattern.endsWith("/*") && !pattern.includes("/:");
}

function insert<T>(root: Node<T>, pattern: string, candidates: Candidates<T>): void {
  const endsInStar = pattern.endsWith("/*");
  const length = endsInStar ? pattern.length - 2 : pattern.length;
  let node = root;
  for (let start = 1; start <= length; ) {
    const slash = pattern.indexOf("/", start);
    const end = slash === -1 || slash > length ? length : slash;
    const segment = pattern.slice(start, end);
    node = segment === ":" ? parameterChild(node) : literalChild(node, segment);
    start = end + 1;
  }
  if (endsInStar) node.star = candidates;
  else node.end = candidates;
}

function parameterChild<T>(node: Node<T>): Node<T> {
  node.parameter ??= newNode();
  return node.parameter;
}

function literalChild<T>(node: Node<T>, segment: string): Node<T> {
  const known = node.literal === segment ? node.child : node.literals?.get(segment);
  if (known != null) return known;
  const child = newNode<T>();
  if (node.literals !== null) node.literals.set(segment, child);
  else if (node.child === null) {
    node.literal = segment;
    node.child = child;
  } else {
    node.literals = new Map([
      [node.literal!, node.child],
      [segment, child],
    ]);
    node.literal = node.child = null;
  }
  return child;
}

interface Segment {
  readonly start: number;
  readonly end: number;
}

/** Where the segment path[start, end) leads as a literal. */
function follow<T>({ literal, child, literals }: Node<T>, path: string, { start, end }: Segment) {
  if (literals !== null) return literals.get(path.slice(start, end)) ?? null;
  if (literal === null || literal.length !== end - start) return null;
  return path.startsWith(literal, start) ? child : null;
}

/** `at`: where the node's own segment ends, so at a "/" or at the end of the path. */
function descend<T>(node: Node<T>, at: number, head: RequestHead): Candidate<T> | null {
  const { path } = head;
  if (at === path.length) return node.end?.first(head) ?? node.star?.first(head) ?? null;
  const start = at + 1;
  if (node.child !== null || node.literals !== null || node.parameter !== null) {
    const slash = path.indexOf("/", start);
    const end = slash === -1 ? path.length : slash;
    const child = follow(node, path, { start, end });
    const found = child === null ? null : descend(child, end, head);
    if (found !== null) return found;
    // A `:param` takes one character or more.
    if (node.parameter !== null && end > start) {
      const taken = descend(node.parameter, end, head);
      if (taken !== null) return taken;
    }
  }
  return node.star?.first(head) ?? null;
}
