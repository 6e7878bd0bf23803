/**
 * Whether a document that was checked somewhere else is what `mesh.ts` says: `clearway apply` checks it where its files,
 * its secrets and the code of its filters are, and here nothing of that is. What is inside of a filter's options is read
 * once more where the filter is created.
 */
import { z } from "zod";
import { meshServiceName } from "../../config/grammar/values.ts";
import { isTrustDomain } from "../../identity.ts";
import type { CheckedDocument } from "../../mesh.ts";
import { Refusal } from "../refusal.ts";

const servicesMax = 10_000;
const routesMax = 1001;
const filtersMax = 200;
const pluginsMax = 256;

const place = z.object({ file: z.string(), line: z.number() });
const names = z.array(z.string()).max(servicesMax);

const entry = z.object({
  name: z.string().min(1),
  id: z.string().nullable(),
  onError: z.enum(["fail", "open"]),
  options: z.unknown(),
  place,
});
const entries = z.array(entry).max(filtersMax);

const target = z.object({ service: z.string(), version: z.string().nullable(), weight: z.number().min(0) });
const action = z.discriminatedUnion("kind", [
  z.looseObject({ kind: z.literal("forward"), to: z.array(target).min(1), rewrite: z.looseObject({}) }),
  z.looseObject({ kind: z.literal("redirect"), status: z.number() }),
  z.looseObject({ kind: z.literal("respond"), status: z.number() }),
]);

const route = z.looseObject({
  name: z.string().min(1),
  match: z.looseObject({
    host: z.null(),
    path: z.string().nullable(),
    methods: z.array(z.string()),
    headers: z.array(z.unknown()),
    query: z.array(z.unknown()),
  }),
  filters: entries,
  timeoutMs: z.number().min(1),
  action,
  place,
});

const callee = z.object({
  mtls: z.enum(["strict", "permissive"]),
  // Without one in front, everybody could call.
  inbound: entries.min(1).refine(([first]) => first?.name === "policy", "wanted the policy first"),
  others: names,
  healthCheck: z.looseObject({ intervalMs: z.number(), timeoutMs: z.number() }).nullable(),
});

const service = z.object({
  name: meshServiceName,
  callee: callee.nullable(),
  caller: z.object({
    routes: z.array(route).min(1).max(routesMax),
    service: z.looseObject({
      name: z.string(),
      endpoints: z.array(z.unknown()),
      timeouts: z.looseObject({}),
      place,
    }),
    others: names,
  }),
  place,
});

const plugin = z.object({
  name: z.string().regex(/^\.{0,2}\//),
  version: z.string().min(1),
  source: z.object({
    kind: z.literal(
      "bundle",
      "wanted code in one bundle: apply it from a machine on which clearway runs on Bun",
    ),
    text: z.string(),
    imports: z.array(z.string()),
  }),
});

const checkedDocument = z.object({
  config: z.object({
    trustDomain: z.string().refine(isTrustDomain),
    egress: z.enum(["allow", "deny"]),
    services: z
      .array(service)
      .max(servicesMax)
      .refine(
        (list) => new Set(list.map(({ name }) => name)).size === list.length,
        "a service is there twice",
      ),
    plugins: z.array(plugin).max(pluginsMax),
  }),
  resolved: z.record(z.string(), z.unknown()),
});

/** Throws a Refusal that names the first part which is none. */
export function demandShape(checked: Pick<CheckedDocument, "config" | "resolved">): void {
  const read = checkedDocument.safeParse(checked);
  if (read.success) return;
  const [first] = read.error.issues;
  const where = ["checked", ...(first?.path ?? [])].join(".");
  throw new Refusal(
    "document-invalid",
    `"${where}" is not as wanted: ${first?.message ?? "see mesh.ts"}; send the files alone to have them checked here`,
  );
}
