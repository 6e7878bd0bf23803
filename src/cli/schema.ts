import { Command } from "commander";

/** `file`: the config beside which it is run; null for the one of the usual name, if it is there. */
export type SchemaVerb = (file: string | null) => Promise<number>;

export function schemaCommand(schema: SchemaVerb, finish: (code: number) => void): Command {
  return new Command("schema")
    .description("print the JSON Schema of the config file, for editors")
    .option(
      "-c, --config <file>",
      "a config whose own filters are in the schema too (clearway.yaml, if there)",
    )
    .action(async ({ config }: { readonly config?: string }) => finish(await schema(config ?? null)));
}
