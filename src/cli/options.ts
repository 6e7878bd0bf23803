import { Option } from "commander";

export function configFileOption(): Option {
  return new Option("-c, --config <file>", "the config file").default("clearway.yaml");
}
