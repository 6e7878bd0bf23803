/**
 * The options of a filter as `--resolved` and `/snapshot` show them: with the defaults, without secrets. What the
 * schema marks as a secret is never shown; where it says nothing of what it takes, nothing is shown that came from
 * the environment, or whose key says that it is a secret. What is read from a file or the environment is shown as
 * it is written, `file:PATH` or `${NAME}`.
 */
import type { z } from "zod";
import { type Located, type LocatedList, writtenOf } from "./located.ts";
import { type Marked, withDefaults } from "./marks.ts";
import type { Path } from "./problem.ts";

const hidden = "(secret)";
const secretKeys = /(password|passphrase|secret|token|credential|(api|private|signing)[-_]?key)s?$/i;

export function shownOptions(schema: z.core.$ZodType, node: Located, marked: readonly Marked[]): unknown {
  let written = writtenOf(node);
  for (const { mark, path } of marked) {
    if (mark !== "secret" && mark !== "untyped") continue;
    const at = path.reduce<Located>(stepInto, node);
    const secret = mark === "secret" || secretKeys.test(String(path.at(-1) ?? ""));
    written = replaced(written, path, secret ? hiddenOf(at) : guarded(at));
  }
  return withDefaults(schema, written);
}

function stepInto(node: Located, step: string | number): Located {
  return node.kind === "map"
    ? node.entries.get(String(step))!.node
    : (node as LocatedList).items[Number(step)]!;
}

/** Nothing but where it was read. */
function hiddenOf(node: Located): unknown {
  if (node.kind === "scalar") return node.written ?? hidden;
  return mapped(node, hiddenOf);
}

function guarded(node: Located): unknown {
  if (node.kind === "scalar") return node.written ?? node.value;
  return mapped(node, (inner, key) => (secretKeys.test(key) ? hiddenOf(inner) : guarded(inner)));
}

function mapped(node: Located, show: (inner: Located, key: string) => unknown): unknown {
  if (node.kind === "list") return node.items.map((item) => show(item, ""));
  if (node.kind !== "map") return undefined;
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, show(entry.node, key)]));
}

/** The data is ours alone: it was made from the nodes. */
function replaced(data: unknown, path: Path, value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const holder = path.slice(0, -1).reduce<unknown>((inside, step) => (inside as never)[step], data);
  (holder as Record<string | number, unknown>)[last] = value;
  return data;
}
