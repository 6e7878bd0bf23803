/** Who may import whom, and that no import leads back to where it came from. */
import type { Finding, Source } from "./tree.ts";

interface Allowed {
  /** Files and folders of `src/`; a folder ends with "/". */
  readonly ours: readonly string[];
  /** Packages; one that ends with ":" stands for all of that scheme. */
  readonly packages: readonly string[];
}

const nouns = ["machine.ts", "types.ts", "filter-lookup.ts", "snapshot.ts", "mesh.ts"];

/** By the file or folder of `src/` in which an import stands. A folder may always import itself. */
export const importTable: Readonly<Record<string, Allowed>> = {
  "certificates.ts": { ours: [], packages: [] },
  "machine.ts": { ours: ["certificates.ts"], packages: [] },
  "types.ts": { ours: ["machine.ts"], packages: ["hono", "zod"] },
  "filter-lookup.ts": { ours: ["machine.ts", "types.ts"], packages: [] },
  "snapshot.ts": { ours: ["machine.ts", "types.ts", "filter-lookup.ts"], packages: [] },
  "mesh.ts": { ours: ["machine.ts", "types.ts", "filter-lookup.ts", "snapshot.ts"], packages: [] },
  "identity.ts": { ours: [], packages: [] },
  "database.ts": { ours: [], packages: [] },
  "x509.ts": { ours: [], packages: ["@peculiar/x509", "reflect-metadata"] },
  "certificate-request.ts": { ours: ["x509.ts"], packages: [] },
  "coordinator-client/": { ours: nouns, packages: [] },
  "units.ts": { ours: [], packages: ["zod"] },
  "keys.ts": { ours: nouns, packages: [] },
  "key-schema.ts": { ours: [...nouns, "units.ts"], packages: ["zod"] },
  "pattern-schema.ts": { ours: [], packages: ["zod"] },
  "path-matcher.ts": { ours: [], packages: [] },
  "plugin.ts": {
    ours: [
      ...nouns,
      ...["units.ts", "keys.ts", "key-schema.ts", "pattern-schema.ts", "path-matcher.ts", "identity.ts"],
    ],
    packages: ["zod", "hono"],
  },
  "plugin-imports.ts": { ours: ["plugin.ts"], packages: ["hono", "zod"] },
  "plugin-test.ts": {
    ours: [...nouns, "plugin-imports.ts", "testing/", "filters/", "node/", "host/"],
    packages: ["zod"],
  },
  "plugin-test-preload.ts": {
    ours: ["plugin-imports.ts", "plugin-test.ts", "runtime/", "host/"],
    packages: [],
  },
  "testing/": { ours: [...nouns, "plugin.ts", "config/", "runtime/"], packages: [] },
  "filters/": { ours: ["plugin.ts"], packages: ["clearway", "jose", "@redis/client"] },
  "filters/hono/": { ours: ["plugin.ts", "filters/factory.ts"], packages: ["hono"] },
  "config/": {
    ours: [...nouns, "units.ts", "key-schema.ts", "pattern-schema.ts", "identity.ts"],
    packages: ["zod", "yaml"],
  },
  "runtime/": { ours: [...nouns, "keys.ts", "identity.ts"], packages: ["hono"] },
  "telemetry/": { ours: nouns, packages: ["@opentelemetry"] },
  "node/": {
    ours: [
      ...nouns,
      "identity.ts",
      "certificate-request.ts",
      "coordinator-client/",
      "config/",
      "runtime/",
      "telemetry/",
    ],
    packages: ["hono", "pino"],
  },
  "coordinator/": {
    ours: [
      ...nouns,
      "identity.ts",
      "certificate-request.ts",
      "x509.ts",
      "database.ts",
      "units.ts",
      "config/",
    ],
    packages: ["hono", "jose", "zod"],
  },
  "host/": { ours: [...nouns, "database.ts"], packages: ["node:", "bun:", "bun"] },
  "dashboard/": { ours: [], packages: ["preact", "@preact/signals", "uplot", "@dagrejs/dagre"] },
  "cli/": { ours: nouns, packages: ["commander", "picocolors"] },
  "main-demo.ts": {
    ours: [...nouns, "units.ts", "cli/", "coordinator-client/", "demo/", "host/"],
    packages: [],
  },
  "main-mesh.ts": {
    ours: [
      ...nouns,
      "units.ts",
      "cli/",
      "config/",
      "coordinator/",
      "coordinator-client/",
      "host/",
      "node/",
      "runtime/",
    ],
    packages: [],
  },
  "demo/": { ours: nouns, packages: ["hono", "@hono/node-server"] },
};

const pluginsMayImport: Allowed = { ours: ["plugin.ts"], packages: ["clearway", "jose"] };

export function importTableFindings(sources: readonly Source[]): Finding[] {
  return sources.flatMap((source) => {
    const area = areaOf(source.path);
    if (area === null) return [];
    const allowed = area === "plugins/" ? pluginsMayImport : importTable[area];
    if (allowed === undefined) {
      return [{ path: source.path, line: 1, message: `${area} has no row in the import table` }];
    }
    return source.imports
      .filter(({ specifier }) => !mayImport(source.path, area, { allowed, specifier }))
      .map(({ specifier, line }) => ({
        path: source.path,
        line,
        message: `${area} may not import "${specifier}"`,
      }));
  });
}

/** The row of a file; null where imports are free: main.ts, tests, benchmarks, the build. */
function areaOf(path: string): string | null {
  if (path.startsWith("plugins/")) return path.endsWith(".test.ts") ? null : "plugins/";
  if (!path.startsWith("src/") || path === "src/main.ts") return null;
  const inside = path.slice("src/".length);
  const [first = "", ...rest] = inside.split("/");
  if (rest.length === 0) return first;
  const rows = Object.keys(importTable).filter((row) => row.endsWith("/") && inside.startsWith(row));
  return rows.sort((a, b) => b.length - a.length)[0] ?? `${first}/`;
}

function mayImport(from: string, area: string, to: { allowed: Allowed; specifier: string }): boolean {
  const { allowed, specifier } = to;
  if (!specifier.startsWith(".")) {
    return allowed.packages.some(
      (name) => specifier === name || specifier.startsWith(name.endsWith(":") ? name : `${name}/`),
    );
  }
  const target = resolve(from, specifier);
  if (area.endsWith("/") && target.startsWith(area === "plugins/" ? area : `src/${area}`)) return true;
  return allowed.ours.some((ours) =>
    ours.endsWith("/") ? target.startsWith(`src/${ours}`) : target === `src/${ours}`,
  );
}

/** A relative specifier as a path from the root of the project. */
function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Circles among all imports, those of types too: each is reported once, at its first file. */
export function importCycleFindings(sources: readonly Source[]): Finding[] {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      source.imports
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier, line }) => ({ target: resolve(source.path, specifier), line })),
    ]),
  );
  const findings: Finding[] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (finished.has(path)) return;
    trail.push(path);
    for (const { target, line } of edges.get(path) ?? []) {
      const start = trail.indexOf(target);
      if (start === -1) visit(target);
      else findings.push({ path, line, message: `cycle: ${[...trail.slice(start), target].join(" -> ")}` });
    }
    trail.pop();
    finished.add(path);
  };
  for (const source of sources) visit(source.path);
  return findings;
}
