/** What operators ask for, with their token. Every change is logged, with who made it. */
import { Refusal } from "../refusal.ts";
import { instancesText, nodes, services } from "./listings.ts";
import { jsonAnswer, type Operation, operation } from "./operation.ts";
import type { ApiParts } from "./parts.ts";
import * as wire from "./wire.ts";

export function operatorOperations(parts: ApiParts): readonly Operation[] {
  return [...tokens(parts), ...changes(parts), ...versions(parts), ...listings(parts)];
}

function tokens({ credentials, operators, log }: ApiParts): readonly Operation[] {
  return [
    operation({
      method: "POST",
      path: "/v1/tokens",
      summary: "Makes a join token for nodes of one service",
      who: "operator",
      body: wire.tokenRequest,
      answer: jsonAnswer(wire.tokenAnswer, "The token: it is told once, and kept nowhere"),
      async run({ body, operator: by }) {
        const answer = await credentials.createToken(body);
        log.info("an operator made a join token", { by, ...body });
        return Response.json(answer);
      },
    }),
    operation({
      method: "POST",
      path: "/v1/tokens/rotation",
      summary: "Makes every token void, and writes another one for the operator where the coordinator runs",
      who: "operator",
      body: wire.rotationRequest,
      // Whoever stole a token would have the next one, were it told here.
      answer: jsonAnswer(wire.rotationAnswer, "It was done; the new token is not told"),
      async run({ operator: by }) {
        await operators.rotate();
        log.warn("an operator made every token void", { by });
        return Response.json({ rotated: "yes" });
      },
    }),
  ];
}

function changes({ documents, log }: ApiParts): readonly Operation[] {
  return [
    operation({
      method: "PUT",
      path: "/v1/document",
      summary: "Applies a mesh document: all of it, or nothing when anything is wrong with it",
      who: "operator",
      body: wire.applyRequest,
      query: { "dry-run": "`yes`: only says what would change" },
      answer: jsonAnswer(wire.applyAnswer, "The version that holds, and what differs from the one before"),
      async run({ body, operator: by, query }) {
        const how = choice(query("dry-run"), "dry-run") === "yes" ? "try" : "apply";
        const answer = await documents.apply(wire.applyRequestOf(body), by, how);
        if (how === "apply") log.info("an operator applied a mesh document", { by, version: answer.version });
        return Response.json(answer);
      },
    }),
    operation({
      method: "POST",
      path: "/v1/rollback",
      summary: "Applies an earlier version again, as a new one",
      who: "operator",
      body: wire.rollbackRequest,
      answer: jsonAnswer(wire.applyAnswer, "The version that holds, and what differs from the one before"),
      async run({ body, operator: by }) {
        const answer = await documents.rollback(body, by);
        log.info("an operator rolled back", { by, to: body.version, version: answer.version });
        return Response.json(answer);
      },
    }),
  ];
}

function versions({ documents }: ApiParts): readonly Operation[] {
  return [
    {
      method: "GET",
      path: "/v1/document",
      summary: "A version of the mesh document",
      who: "operator",
      body: null,
      query: { version: "its number; without it the one that holds" },
      answer: jsonAnswer(wire.documentAnswer, "Its files, and what was made of them"),
      async run({ query }) {
        return Response.json(await documents.read(versionNumber(query("version"))));
      },
    },
    {
      method: "GET",
      path: "/v1/versions",
      summary: "Versions of the mesh document",
      who: "operator",
      body: null,
      answer: jsonAnswer(wire.versionsAnswer, "The newest first"),
      async run() {
        return Response.json({ versions: await documents.list() });
      },
    },
  ];
}

function listings({ credentials, registry, feed }: ApiParts): readonly Operation[] {
  const list = (what: string, words: Pick<Operation, "summary" | "answer" | "run" | "query">): Operation => ({
    method: "GET",
    path: `/v1/${what}`,
    who: "operator",
    body: null,
    ...words,
  });
  return [
    list("instances", {
      summary: "Instances that are registered",
      query: { service: "only those of this service" },
      answer: jsonAnswer(wire.instancesAnswer, "With the node that registered each"),
      run: ({ query }) =>
        new Response(instancesText(registry, query("service")), {
          headers: { "content-type": "application/json" },
        }),
    }),
    list("services", {
      summary: "Services that have instances",
      answer: jsonAnswer(wire.servicesAnswer, "How many each has"),
      run: () => Response.json({ services: services(registry) }),
    }),
    list("nodes", {
      summary: "Nodes that hold a lease or listen to the feed",
      answer: jsonAnswer(wire.nodesAnswer, "By service and name"),
      run: () => Response.json({ nodes: nodes(registry, feed) }),
    }),
    list("identities", {
      summary: "Certificates that have not ended",
      answer: jsonAnswer(wire.identitiesAnswer, "The one that ends first, first"),
      run: async () => Response.json({ identities: await credentials.identities() }),
    }),
  ];
}

function choice(value: string | null, name: string): "yes" | "no" {
  if (value === null || value === "no") return "no";
  if (value === "yes") return "yes";
  throw new Refusal("query-invalid", `${name}=${value}: wanted yes or no`);
}

function versionNumber(value: string | null): number | null {
  if (value === null) return null;
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new Refusal("query-invalid", `version=${value}: wanted the number of a version, such as 7`);
}
