/** The API as OpenAPI 3.1.1 says it (https://spec.openapis.org/oas/v3.1.1.html), from the operations themselves. */
import { z } from "zod";
import type { Operation } from "./operation.ts";
import { problem } from "./wire.ts";

export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [key: string]: unknown;
}

export function openApi(operations: readonly Operation[]): OpenApi {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const one of operations) {
    paths[one.path] = { ...paths[one.path], [one.method.toLowerCase()]: described(one) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Clearway coordinator",
      version: "1",
      description:
        "Nodes show a certificate of the mesh, operators a bearer token. Everything else is public.",
    },
    paths,
    components: {
      schemas: { Problem: schemaOf(problem, "output") },
      securitySchemes: { node: { type: "mutualTLS" }, operator: { type: "http", scheme: "bearer" } },
    },
  };
}

function described({ summary, who, body, query = {}, answer, path }: Operation): unknown {
  const parameters = Object.entries(query).map(([name, description]) => ({
    name,
    in: "query",
    description,
    schema: { type: "string" },
  }));
  return {
    summary,
    ...(who === "anyone" ? { security: [] } : { security: [{ [who]: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== null && {
      requestBody: { required: true, content: { "application/json": { schema: schemaOf(body, "input") } } },
    }),
    responses: {
      200: {
        description: answer.summary,
        content: {
          [answer.type]: answer.schema === null ? {} : { schema: schemaOf(answer.schema, "output") },
        },
      },
      ...(path.startsWith("/v1/") && {
        default: {
          description: "Refused",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      }),
    },
  };
}

/** OpenAPI 3.1 takes JSON Schema 2020-12 as it is. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: "draft-2020-12" });
  return rest;
}
