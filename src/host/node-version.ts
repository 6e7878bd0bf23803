/** The first version of Node that has all that the program uses, such as `Promise.withResolvers`. */
const majorMin = 22;

/** What to tell who runs the program on a Node that is too old for it; null for another one, and for Deno. */
export function nodeTooOld({ node, deno }: Readonly<Record<string, string | undefined>>): string | null {
  if (deno !== undefined || node === undefined || Number.parseInt(node, 10) >= majorMin) return null;
  return `this is Node ${node}: wanted Node ${majorMin} or newer, or the built program dist/clearway, which needs none`;
}
