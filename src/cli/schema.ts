import { Command } from "commander";

export type SchemaOf = "config" | "document";

/** `file`: the config beside which it is run; null for the one of the usual name, if it is there. */
export type SchemaVerb = (file: string | null, of: SchemaOf) => Promise<number>;

export function schemaCommand(schema: SchemaVerb, finish: (code: number) => void): Command {
  return new Command("schema")
    .description("print the JSON Schema of the config file, or of a mesh document, for editors")
    .option(
      "-c, --config <file>",
      "a config whose own filters are in the schema too (clearway.yaml, if there)",
    )
    .option("--mesh", "the schema of a mesh document (beside mesh.yaml, if there)")
    .action(async ({ config, mesh }: { readonly config?: string; readonly mesh?: true }) =>
      finish(await schema(config ?? null, mesh ? "document" : "config")),
    );
}
