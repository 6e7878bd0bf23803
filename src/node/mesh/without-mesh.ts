/** On a host that has no mesh, a config that names one is wrong: it would serve without what its owner counts on. */
import { plainProblem } from "../addresses.ts";
import type { FileSourceParts } from "../config-source.ts";

/** `host`: how it is called, such as `Node`. */
export function withoutMesh(load: FileSourceParts["load"], host: string): FileSourceParts["load"] {
  return async (files, version) => {
    const loaded = await load(files, version);
    const membership = loaded.snapshot?.membership ?? null;
    if (membership === null) return loaded;
    const message = `cannot join a mesh: that needs Bun, and this is ${host}. Run it with Bun, or leave \`mesh\` out`;
    return { ...loaded, snapshot: null, problems: [plainProblem(message, membership.place, "mesh")] };
  };
}
