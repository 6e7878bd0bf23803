/** The parts of a config with many routes: lines for its one listener, and files of services to include. */

/** Of the services these get the requests; the others are there, with a route of their own each. */
const busyServices = 10;
const servicesPerFile = 100;

export interface ManyRoutes {
  readonly routes: number;
  readonly services: number;
}

/** A tenth as many services as routes, and never fewer than share the requests. */
export function manyRoutes(routes: number): ManyRoutes {
  return { routes, services: Math.max(busyServices, routes / 10) };
}

/** As long for few routes as for many. Lua's `string.format` in wrk.lua makes the same of it. */
function areaOf(index: number): string {
  return `/area/${String(index).padStart(5, "0")}`;
}

/** What a request to route `index` asks for. */
export function pathOf(index: number): string {
  return `${areaOf(index)}/item`;
}

/** The routes that answer to their `pathOf`: [first, last]. */
export function busyRoutes({ routes, services }: ManyRoutes): readonly [number, number] {
  return [services > busyServices ? services : 0, routes - 1];
}

/** The list under `routes:`, indented for it. */
export function routeLines({ routes, services }: ManyRoutes): string {
  const [firstBusy] = busyRoutes({ routes, services });
  const lines: string[] = [];
  for (let index = 0; index < routes; index++) {
    if (index < firstBusy) {
      const match = `{ host: tenant-${index}.example, path: /* }`;
      lines.push(`      - match: ${match}`, `        to: service-${index}`);
      continue;
    }
    const path = [pathOf(index), `${areaOf(index)}/*`, `${areaOf(index)}/:id`][index % 3];
    const method = index % 5 === 0 ? ", method: [GET, POST]" : "";
    lines.push(`      - match: { path: ${path}${method} }`);
    if (index % 10 === 9) {
      lines.push(`        filters: [{ headers: { response: { set: { x-route: "${index}" } } } }]`);
    }
    lines.push(`        timeout: ${5 + (index % 10)}s`, `        to: service-${index % busyServices}`);
  }
  return lines.join("\n");
}

/** By their names. */
export function serviceFiles({ services }: ManyRoutes, backendPort: number): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (let first = 0; first < services; first += servicesPerFile) {
    const lines = ["services:"];
    for (let index = first; index < Math.min(services, first + servicesPerFile); index++) {
      lines.push(`  service-${index}:`, `    endpoints: [127.0.0.1:${backendPort}]`);
      if (index % 2 === 1) lines.push("    loadBalancing: round-robin", "    timeouts: { connect: 500ms }");
    }
    files.set(`${String(first).padStart(6, "0")}.yaml`, `${lines.join("\n")}\n`);
  }
  return files;
}
