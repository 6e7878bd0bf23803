import { expect, test } from "bun:test";
import { documentJsonSchema } from "../../../src/config/mesh/json-schema.ts";
import { filters } from "../../../src/filters/index.ts";

interface Schema {
  readonly properties: Record<string, Schema>;
  readonly additionalProperties: Schema;
  readonly items: Schema;
  readonly $ref?: string;
  readonly definitions: Record<string, Schema>;
  readonly required?: readonly string[];
}

const schema = documentJsonSchema(filters) as Schema;
const service = schema.properties.services!.additionalProperties;

test("the schema of a mesh document wants its trustDomain, and knows no listeners", () => {
  expect(schema.required).toEqual(["trustDomain"]);
  expect(Object.keys(schema.properties)).toEqual([
    "trustDomain",
    "defaults",
    "limits",
    "services",
    "include",
  ]);
});

test("the keys of a service that mean filters take the options of these", () => {
  for (const holder of [service, service.properties.routes!.items]) {
    for (const name of ["fault", "mirror", "retry"]) {
      expect(holder.properties[name]).toMatchObject({
        allOf: [{ $ref: `#/definitions/${name}` }],
      });
      expect(schema.definitions[name]!.properties).toBeDefined();
    }
  }
  expect(service.properties.inbound!.items.$ref).toBe("#/definitions/routeFilter");
});
