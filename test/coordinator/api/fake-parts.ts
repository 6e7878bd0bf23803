/** The API with what stands behind it: registry and feed are real, authority and documents are the test's. */
import { type ApiApp, coordinatorApi } from "../../../src/coordinator/api/api.ts";
import { CoordinatorMeters } from "../../../src/coordinator/api/meters.ts";
import type { ApiParts } from "../../../src/coordinator/api/parts.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import type { Credentials } from "../../../src/mesh.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { FedRegistry } from "../feed/fed-registry.ts";

const trustDomain = "store.example";
function credentialsOf(service: string): Credentials {
  const identity = `spiffe://${trustDomain}/${service}`;
  return { certificate: "LEAF", roots: "PEM", trustDomain, identity, startsEpochMs: 1, expiresEpochMs: 2 };
}

export class FakeParts extends FedRegistry {
  readonly recorders = new Recorders(() => {});
  readonly removed = new Set<string>();
  readonly applied: { by: string; how: string; request: unknown }[] = [];
  readonly warnings: string[] = [];
  readonly parts: ApiParts = this.#parts();
  readonly app: ApiApp = coordinatorApi(this.parts);

  /** By the certificate of this service, over the operator's token, or as nobody. */
  async ask(
    path: string,
    { as = "nobody", body, method = body === undefined ? "GET" : "POST" }: Asking = {},
  ): Promise<Answered> {
    const operator = as === "operator";
    const request = new Request(`https://coordinator${path}`, {
      method,
      headers: operator ? { authorization: "Bearer right" } : {},
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const identity =
      operator || as === "nobody" ? null : as.includes("://") ? as : `spiffe://${trustDomain}/${as}`;
    const env = {
      identity,
      remoteAddress: "127.0.0.1",
      listener: "coordinator",
      route: null,
      finished() {},
      abort() {},
    };
    const response = await this.app.fetch(request, env);
    return { status: response.status, response };
  }

  #parts(): ApiParts {
    return {
      clock: this.clock,
      log: this.recorders.log,
      trustDomain,
      registry: this.registry,
      feed: this.feed,
      meters: new CoordinatorMeters(),
      isRemoved: (service) => this.removed.has(service),
      warnings: () => this.warnings,
      readings: () => ({
        instances: this.registry.size,
        services: this.registry.services().length,
        nodes: this.registry.nodes().length,
        subscribers: this.feed.readings.subscribers,
        documentVersion: 7,
        feedSentBytes: this.feed.readings.sentBytes,
        feedCutOff: 0,
        storeFailures: 0,
      }),
      credentials: {
        roots: () => "PEM",
        join: async ({ token }) => {
          if (token !== "right") throw new Refusal("token-used-up", "the token was used");
          return credentialsOf("payments");
        },
        renew: async (service) => credentialsOf(service),
        createToken: async ({ service }) => ({ token: `join-${service}`, expiresEpochMs: 3 }),
        identities: async () => [],
      },
      operators: {
        check: async (token) => {
          if (token === "right") return "operator";
          throw new Refusal("operator-needed", "the token is not the operator's");
        },
        rotate: async () => {},
      },
      documents: {
        apply: async (request, by, how) => {
          this.applied.push({ by, how, request });
          return { version: 8, difference: { changes: [] } };
        },
        rollback: async () => {
          throw new Refusal("no-such-version", "there is no version 99");
        },
        read: async () => {
          throw new Error("the store is on fire");
        },
        list: async () => [{ version: 1, appliedEpochMs: 5, by: "operator", restores: null }],
      },
    };
  }
}

interface Asking {
  readonly as?: string;
  readonly body?: unknown;
  readonly method?: string;
}

interface Answered {
  readonly status: number;
  readonly response: Response;
}
