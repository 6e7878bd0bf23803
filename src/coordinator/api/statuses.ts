/** The one table from what the coordinator refuses to the status of the answer. */
import type { ContentfulStatusCode } from "hono/utils/http-status";

const statuses: Readonly<Record<string, ContentfulStatusCode>> = {
  "body-invalid": 400,
  "query-invalid": 400,
  "instance-twice": 400,
  "certificate-needed": 401,
  "operator-needed": 401,
  "foreign-identity": 403,
  "identity-removed": 403,
  "not-your-service": 403,
  "no-such-path": 404,
  "no-such-version": 404,
  "method-not-allowed": 405,
  "instance-taken": 409,
  "service-reserved": 409,
  "other-authority": 409,
  "version-conflict": 409,
  "too-many-instances": 409,
  "too-many-nodes": 409,
  "too-many-subscriptions": 409,
  "body-too-large": 413,
  "document-invalid": 422,
  "too-often": 429,
  "internal-error": 500,
};

/** Of all reasons that begin so. */
const families: readonly (readonly [start: string, status: ContentfulStatusCode])[] = [
  ["store-", 503],
  ["authority-", 503],
  ["clock-", 503],
  ["token-", 403],
  ["request-", 400],
];

/** What is not in the tables is somebody's mistake, not the coordinator's. */
export function statusOf(reason: string): ContentfulStatusCode {
  return statuses[reason] ?? familyOf(reason)?.[1] ?? 400;
}

export function hasStatus(reason: string): boolean {
  return Object.hasOwn(statuses, reason) || familyOf(reason) !== undefined;
}

function familyOf(reason: string) {
  return families.find(([start]) => reason.startsWith(start));
}
