import { Command } from "commander";

export type SchemaVerb = () => Promise<number>;

export function schemaCommand(schema: SchemaVerb, finish: (code: number) => void): Command {
  return new Command("schema")
    .description("print the JSON Schema of the config file, for editors")
    .action(async () => finish(await schema()));
}
