/** What a mesh document says of calls, and a gateway's route cannot be joined with: said, so that nobody counts on it. */
import type { MeshService } from "../../mesh.ts";
import type { Problem, RouteConfig, Snapshot } from "../../snapshot.ts";
import { plainProblem } from "../addresses.ts";
import { containsPath, onlyTarget, ownTimeout } from "./gateway-snapshot.ts";

/** Further ones are not told. */
const notesMax = 100;

export function unappliedRules(
  { listeners, services }: Pick<Snapshot, "listeners" | "services">,
  rules: (name: string) => MeshService | null,
): readonly Problem[] {
  const registered = new Map(services.map(({ name, registry }) => [name, registry]));
  const of = (service: string) => {
    const registry = registered.get(service) ?? null;
    const found = registry === null ? null : rules(registry);
    return found === null || found.callee === null ? null : found;
  };
  const notes = listeners.flatMap(({ routes }) =>
    routes.flatMap((route) => {
      const only = onlyTarget(route);
      const found = only === null ? null : of(only);
      return only === null ? shared(route, of) : found === null ? [] : partly(route, found);
    }),
  );
  return notes.slice(0, notesMax);
}

/** One route has one list of filters and one time-out, whichever service a request goes to. */
function shared(route: RouteConfig, of: (service: string) => MeshService | null): readonly Problem[] {
  if (route.action.kind !== "forward") return [];
  const names = [...new Set(route.action.to.map(({ service }) => service))];
  return names.flatMap((name) => {
    const found = of(name);
    const lacks = found === null ? [] : saysMore(route, found);
    if (lacks.length === 0) return [];
    const message = `the mesh document's rules of ${name} do not hold for this route, which shares its requests: ${lacks.join(", ")}`;
    return [note(message, route, `write them at this route, or give ${name} a route of its own`)];
  });
}

function saysMore(own: RouteConfig, { name, caller }: MeshService): readonly string[] {
  const filters = caller.routes.flatMap((route) => route.filters.map((filter) => filter.name));
  const missing = filters.filter((filter) => own.filters.every((one) => one.name !== filter));
  const timeouts = !ownTimeout(own) && caller.routes.some(({ timeoutMs }) => timeoutMs !== own.timeoutMs);
  const elsewhere = caller.routes.some(
    ({ action }) =>
      action.kind !== "forward" ||
      action.to.some(({ service, version }) => service !== name || version !== null),
  );
  return [
    ...new Set(missing),
    ...(timeouts ? ["its time-out"] : []),
    ...(elsewhere ? ["where its requests go"] : []),
  ];
}

function partly(route: RouteConfig, { name, caller }: MeshService): readonly Problem[] {
  const own = route.match.path;
  return caller.routes.flatMap(({ match, filters, timeoutMs }) => {
    const theirs = match.path;
    if (own === null || theirs === null || own === theirs) return [];
    if (containsPath(own, theirs) || containsPath(theirs, own) || !pathsMeet(own, theirs)) return [];
    if (filters.length === 0 && timeoutMs === route.timeoutMs) return [];
    const message = `the mesh document's route ${theirs} of ${name} meets a part of this route, ${own}, and does not hold here`;
    return [note(message, route, `write a route of its own for that part, with a path inside of ${theirs}`)];
  });
}

/** Whether some path matches both: `:name` takes one segment, and `*` at the end all that follow. */
export function pathsMeet(left: string, right: string): boolean {
  const [one, other] = [left.split("/"), right.split("/")];
  for (let at = 0; ; at += 1) {
    const [mine, theirs] = [one[at], other[at]];
    // What stands before `/*` is matched too.
    if (mine === "*" || theirs === "*") return true;
    if (mine === undefined || theirs === undefined) return mine === theirs;
    if (mine !== theirs && !mine.startsWith(":") && !theirs.startsWith(":")) return false;
  }
}

function note(message: string, { place }: RouteConfig, hint: string): Problem {
  return { ...plainProblem(message, place), hints: [hint] };
}
