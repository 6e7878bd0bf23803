/** The one table from what the coordinator refuses to the status of the answer. */
import type { ContentfulStatusCode } from "hono/utils/http-status";

const statuses: Readonly<Record<string, ContentfulStatusCode>> = {
  "body-invalid": 400,
  "query-invalid": 400,
  "request-invalid": 400,
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
  "version-conflict": 409,
  "too-many-instances": 409,
  "too-many-subscriptions": 409,
  "body-too-large": 413,
  "document-invalid": 422,
  "too-often": 429,
  "internal-error": 500,
};

/** A part may have reasons of its own: those are somebody's mistake, not the coordinator's. */
export function statusOf(reason: string): ContentfulStatusCode {
  if (reason.startsWith("store-")) return 503;
  if (reason.startsWith("token-")) return 403;
  return statuses[reason] ?? 400;
}

export function hasStatus(reason: string): boolean {
  return /^(store|token)-/.test(reason) || Object.hasOwn(statuses, reason);
}
