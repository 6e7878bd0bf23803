/** Parts that the config calls by names of the user: listeners, services. */
import type { z } from "zod";
import { childOf, childrenOf, isNothing, type Part, plainOf, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";
import { quoted } from "./wanted.ts";

/** The entries of a map of named parts; null when it is none, so that nothing is known of its names. */
export function namedParts(
  root: Part,
  key: string,
  { report, name: nameGrammar }: { readonly report: Report; readonly name: z.ZodType<string> },
): [string, Part][] | null {
  const map = childOf(root, key);
  if (map === null || isNothing(map)) return [];
  if (map.node.kind !== "map") {
    const message = `cannot read ${quoted(plainOf(map.node))}: wanted a map, with a name for each`;
    if (map.node.kind !== "gap") report.add(spotOf(map), map.path, { message });
    return null;
  }
  const children = childrenOf(map).filter(([name]) => name !== "<<");
  for (const [name, part] of children) {
    const checked = nameGrammar.safeParse(name);
    if (checked.success) continue;
    const message = `cannot use ${quoted(name)} as a name: ${checked.error.issues[0]!.message}`;
    report.add(part.key, part.path, { message });
  }
  return children;
}
