/** A node's place in a mesh. */
import type { MeshMembership } from "../snapshot.ts";
import { checkFields } from "./check.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import { membershipGrammar } from "./grammar/membership.ts";
import { childOf, type Part } from "./located.ts";
import type { Report } from "./problem.ts";
import { lineOf } from "./source.ts";

/** Null without one. */
export function readMembership(root: Part, report: Report): MeshMembership | null | "wrong" {
  const part = childOf(root, "mesh");
  if (part === null) return null;
  const { some, complete } = checkFields(membershipGrammar, part, { report });
  const { coordinator, service, tokenFile, state } = some;
  if (!complete || coordinator === undefined || service === undefined) return "wrong";
  const beside = (path: string) => joinPath(directoryOf(part.key.file.name), path);
  return {
    coordinators: [...new Set(typeof coordinator === "string" ? [coordinator] : coordinator)],
    service,
    tokenFile: tokenFile === undefined ? null : beside(tokenFile),
    stateFolder: beside(state ?? `.clearway/${service}`),
    place: { file: part.key.file.name, line: lineOf(part.key) },
  };
}
