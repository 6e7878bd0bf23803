/** What the API reads and answers, as schemas: requests are checked by them, and OpenAPI is made from them. */
import { z } from "zod";
import { meshServiceName, partName } from "../../config/grammar/values.ts";
import { parseIdentity } from "../../identity.ts";
import type {
  ApplyAnswer,
  ApplyRequest,
  CoordinatorProblem,
  Credentials,
  FeedRequest,
  Instance,
  JoinRequest,
  LeaseAnswer,
  LeaseRequest,
  RenewalRequest,
  RollbackRequest,
  VersionSummary,
} from "../../mesh.ts";

const service = z
  .string()
  .max(128)
  .refine((name) => parseIdentity(`spiffe://mesh/${name}`) !== null, "not the name of a service")
  .describe("The name of a service");
const node = z
  .string()
  .regex(/^[\w.:-]{1,128}$/)
  .describe("What the node calls itself, the same after a restart");
const label = partName.nullable();
const epochMs = z.number().describe("Milliseconds since 1970");
const version = z.int().min(1);
const base = z
  .int()
  .min(0)
  .nullable()
  .describe(
    "The version that the operator saw, 0 for none; another one that holds by now is a conflict. Null asks for none",
  );

export const instance = z.strictObject({
  id: z
    .string()
    .regex(/^[\w.:-]{1,128}$/)
    .describe("Unique in the mesh"),
  service,
  address: z
    .strictObject({ host: z.string().regex(/^[\w.:-]{1,255}$/), port: z.int().min(1).max(65_535) })
    .describe("Of the inbound listener of its node"),
  version: label,
  zone: label,
  weight: z.int().min(0).max(1_000_000),
  state: z.enum(["healthy", "unhealthy", "draining"]),
}) satisfies z.ZodType<Instance>;

// ---- nodes ----

const certificateRequest = z.string().max(16_384).describe("PKCS#10, PEM");

export const joinRequest = z.strictObject({
  token: z.string().max(8192),
  request: certificateRequest,
  node: node.exactOptional(),
}) satisfies z.ZodType<JoinRequest>;

export const renewalRequest = z.strictObject({
  request: certificateRequest,
  node: node.exactOptional(),
}) satisfies z.ZodType<RenewalRequest>;

export const credentials = z.strictObject({
  certificate: z.string().describe("PEM: the leaf, then what leads to a root"),
  roots: z.string().describe("PEM: who vouches for everybody in the mesh"),
  trustDomain: z.string(),
  identity: z.string(),
  startsEpochMs: epochMs,
  expiresEpochMs: epochMs,
}) satisfies z.ZodType<Credentials>;

export const leaseRequest = z.strictObject({
  node,
  version: version.exactOptional().describe("Of the mesh document, that holds for the node's requests"),
  instances: z.array(instance).max(1000).describe("All that the node has: those left out are removed"),
}) satisfies z.ZodType<LeaseRequest>;

export const leaseAnswer = z.strictObject({
  leaseMs: z.number(),
  renewEveryMs: z.number(),
}) satisfies z.ZodType<LeaseAnswer>;

const tags = z.strictObject({ rules: z.string().max(64), instances: z.string().max(64) });

export const feedRequest = z.strictObject({
  node,
  services: z.array(service).max(2000),
  known: z.record(z.string(), tags).describe("What the node has already, by service"),
}) satisfies z.ZodType<FeedRequest>;

// ---- operators ----

export const tokenRequest = z.strictObject({
  service: meshServiceName.describe("What the nodes will be; the mesh document may name it later"),
  ttlMs: z
    .int()
    .min(1000)
    .max(30 * 86_400_000)
    .default(600_000),
  uses: z.int().min(1).max(100_000).default(1),
});
export type TokenRequest = z.infer<typeof tokenRequest>;

export const tokenAnswer = z.strictObject({ token: z.string(), expiresEpochMs: epochMs });
export type TokenAnswer = z.infer<typeof tokenAnswer>;

export const rotationRequest = z.strictObject({});
export const rotationAnswer = z.strictObject({ rotated: z.literal("yes") });

const file = z.strictObject({ name: z.string().min(1).max(1024), text: z.string() });

/** What was checked elsewhere is looked at by who applies it. */
const plain = z.record(z.string(), z.unknown());

export const applyRequest = z.strictObject({
  files: z.array(file).min(1).max(1000),
  checked: z.strictObject({ config: plain, resolved: plain }).nullable(),
  base,
});

export const rollbackRequest = z.strictObject({ version, base }) satisfies z.ZodType<RollbackRequest>;

export const applyAnswer = z.strictObject({
  version: z.int(),
  difference: z.strictObject({
    changes: z.array(
      z.strictObject({
        service: z.string().nullable(),
        key: z.string(),
        kind: z.enum(["added", "removed", "changed"]),
        before: z.unknown(),
        after: z.unknown(),
        note: z.string().nullable(),
      }),
    ),
  }),
}) satisfies z.ZodType<ApplyAnswer>;

const versionSummary = z.strictObject({
  version,
  appliedEpochMs: epochMs,
  by: z.string(),
  restores: version.nullable(),
}) satisfies z.ZodType<VersionSummary>;

export const versionsAnswer = z.strictObject({ versions: z.array(versionSummary) });
export const documentAnswer = versionSummary.extend({ files: z.array(file), config: plain, resolved: plain });

export const rootAnswer = z.strictObject({ roots: z.string().describe("PEM"), trustDomain: z.string() });
export const instancesAnswer = z.strictObject({ instances: z.array(instance.extend({ node: z.string() })) });
export const servicesAnswer = z.strictObject({
  services: z.array(
    z.strictObject({
      service: z.string(),
      instances: z.int(),
      healthy: z.int(),
      draining: z.int(),
    }),
  ),
});
export const nodesAnswer = z.strictObject({
  nodes: z.array(
    z.strictObject({
      service: z.string(),
      node: z.string(),
      instances: z.int(),
      leaseLeftMs: z.number().nullable().describe("Null without instances"),
      version: z.int().nullable().describe("Of the mesh document, as it said; null while it said none"),
      uses: z
        .array(z.string())
        .nullable()
        .describe("Services that it is told of; null when it does not listen"),
    }),
  ),
});
export const identitiesAnswer = z.strictObject({
  identities: z.array(
    z.strictObject({
      identity: z.string(),
      serial: z.string(),
      node: z.string().nullable(),
      startsEpochMs: epochMs,
      expiresEpochMs: epochMs,
      removed: z.boolean().describe("Whether it is refused everywhere: its service was removed"),
    }),
  ),
});
export type IdentitiesAnswer = z.infer<typeof identitiesAnswer>;

export const problem = z.strictObject({
  reason: z.string().describe("A stable code"),
  message: z.string().describe("What happened and what to do"),
}) satisfies z.ZodType<CoordinatorProblem>;

/** Says with the compiler that what was read is what mesh.ts says; the checked parts are looked at later. */
export function applyRequestOf(read: z.infer<typeof applyRequest>): ApplyRequest {
  return read as unknown as ApplyRequest;
}
