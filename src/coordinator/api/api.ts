/** The coordinator's HTTP API, as a Hono app: who asks, how often, with what, and what is answered when that is refused. */
import { type Context, Hono } from "hono";
import { parseIdentity } from "../../identity.ts";
import type { CoordinatorProblem } from "../../mesh.ts";
import { Refusal } from "../refusal.ts";
import { StoreFailure } from "../store/store.ts";
import { nodeOperations, tooOften } from "./node-operations.ts";
import { openApi } from "./openapi.ts";
import { type ApiBindings, type Operation, readBody } from "./operation.ts";
import { operatorOperations } from "./operator-operations.ts";
import type { ApiParts } from "./parts.ts";
import { publicOperations } from "./public-operations.ts";
import { RateBuckets } from "./rate.ts";
import { statusOf } from "./statuses.ts";

type ApiContext = Context<{ Bindings: ApiBindings }>;
export type ApiApp = Hono<{ Bindings: ApiBindings }>;

/** Of one address, for what costs a signature or a look at a token: a thousand nodes may start behind one address. */
const addressRate = { perSecond: 100, burst: 2000 };
/** Refusals that are logged; all are counted. */
const logRate = { perSecond: 5, burst: 20 };

/** All but `/openapi.json`, which is made from them. */
export function apiOperations(parts: ApiParts): readonly Operation[] {
  return [...publicOperations(parts), ...nodeOperations(parts), ...operatorOperations(parts)];
}

export function coordinatorApi(parts: ApiParts): ApiApp {
  const app: ApiApp = new Hono();
  const operations = apiOperations(parts);
  const addresses = new RateBuckets(parts.clock, addressRate);
  for (const one of operations) {
    app.on(one.method, one.path, async (c) => {
      if (one.who === "operator" || one.path === "/v1/join" || one.path === "/v1/certificate") {
        const { remoteAddress } = c.env;
        const waitMs = addresses.waitMs(remoteAddress);
        if (waitMs > 0) throw tooOften(remoteAddress, waitMs);
      }
      const service = one.who === "node" ? provedService(parts, c.env.identity) : "";
      const operator = one.who === "operator" ? await provedOperator(parts, c) : "";
      const body = await readBody(c.req.raw, one);
      return one.run({
        body,
        service,
        operator,
        query: (name) => c.req.query(name) ?? null,
        abort: () => c.env.abort(),
      });
    });
  }
  const described = openApi(operations);
  app.get("/openapi.json", (c) => c.json(described));
  for (const path of new Set(operations.map((one) => one.path))) {
    const methods = operations.filter((one) => one.path === path).map(({ method }) => method);
    app.all(path, (c) => {
      c.header("allow", methods.join(", "));
      throw new Refusal("method-not-allowed", `${path} takes ${methods.join(" and ")}, not ${c.req.method}`);
    });
  }
  app.notFound(() => {
    throw new Refusal("no-such-path", "there is nothing here: see /openapi.json for what there is");
  });
  app.onError(refusals(parts));
  return app;
}

/** What the certificate says, never the body. */
function provedService({ trustDomain, isRemoved }: ApiParts, identity: string | null): string {
  if (identity === null) {
    throw new Refusal(
      "certificate-needed",
      "show the certificate that joining gave you: clearway sidecar does",
    );
  }
  const proved = parseIdentity(identity);
  if (proved === null || proved.trustDomain !== trustDomain) {
    throw new Refusal("foreign-identity", `"${identity}" is no service of spiffe://${trustDomain}`);
  }
  if (isRemoved(proved.service)) {
    throw new Refusal(
      "identity-removed",
      `the service "${proved.service}" was removed from the mesh document: its certificates hold no more`,
    );
  }
  return proved.service;
}

function provedOperator({ operators }: ApiParts, c: ApiContext): Promise<string> {
  const [scheme = "", token = ""] = (c.req.header("authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || token === "") {
    throw new Refusal(
      "operator-needed",
      "send the operator's token as authorization: Bearer TOKEN; the coordinator wrote it when it first started",
    );
  }
  return operators.check(token);
}

function refusals({ log, meters, clock }: ApiParts): (error: Error, c: ApiContext) => Response {
  const lines = new RateBuckets(clock, logRate);
  return (error, c) => {
    const { reason, message } = problemOf(error);
    const status = statusOf(reason);
    meters.refused(reason);
    const { identity, remoteAddress } = c.env;
    const fields = { reason, status, method: c.req.method, path: c.req.path, remoteAddress, identity };
    if (status === 500) log.error(`a request failed: ${error.stack ?? error.message}`, fields);
    else if (lines.waitMs("refused") === 0) log.warn("refused a request", fields);
    if (status === 429) c.header("retry-after", "1");
    c.header("x-clearway-reason", reason);
    return c.json({ reason, message } satisfies CoordinatorProblem, status);
  };
}

function problemOf(error: Error): CoordinatorProblem {
  if (error instanceof Refusal || error instanceof StoreFailure) {
    return { reason: error.reason, message: error.message };
  }
  return { reason: "internal-error", message: "the coordinator failed at this: its log says why" };
}
