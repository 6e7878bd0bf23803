import { Command, Option } from "commander";
import { coordinatorDefault } from "./operator.ts";

export interface CoordinatorArguments {
  /** The mesh document. */
  readonly config: string | null;
  readonly watch: "yes" | "no";
  /** As the user wrote them. */
  readonly bind: string;
  readonly store: string;
  readonly names: readonly string[];
  /** Files; both or none. */
  readonly caCert: string | null;
  readonly caKey: string | null;
}

/** Returns the exit code when it was told to end. */
export type CoordinatorVerb = (given: CoordinatorArguments) => Promise<number>;

interface Options {
  readonly config?: string;
  readonly watch?: true;
  readonly bind: string;
  readonly store: string;
  readonly name: readonly string[];
  readonly caCert?: string;
  readonly caKey?: string;
}

const bindDefault = coordinatorDefault.replace("https://", "");

export function coordinatorCommand(start: CoordinatorVerb, finish: (code: number) => void): Command {
  return new Command("coordinator")
    .description("run the mesh's coordinator: who is who, who is where, and what holds; SIGTERM ends it")
    .option(
      "-c, --config <file>",
      "a mesh document: the first version of an empty store, otherwise only compared with the one that holds",
    )
    .option("--watch", "apply the document whenever it is saved: for development, with one coordinator")
    .addOption(
      new Option(
        "--bind <address>",
        "where to listen; on loopback until you say where else, as it vouches for everybody in the mesh",
      ).default(bindDefault),
    )
    .option("--store <store>", "sqlite:PATH, or memory", "sqlite:.clearway/coordinator.sqlite")
    .option(
      "--ca-cert <file>",
      "an authority of your own (PEM), and after it what vouches for it up to a root",
    )
    .option("--ca-key <file>", "its key (PEM, PKCS#8)")
    .addOption(
      new Option(
        "--name <host>",
        "a host or address under which it is reached, for its certificate; repeatable",
      )
        .default([], "none")
        .argParser((name: string, names: readonly string[]) => [...names, name]),
    )
    .action(async (options: Options) => finish(await start(argumentsOf(options))));
}

function argumentsOf({ config, watch, bind, store, name, caCert, caKey }: Options): CoordinatorArguments {
  return {
    config: config ?? null,
    watch: watch ? "yes" : "no",
    bind,
    store,
    names: name,
    caCert: caCert ?? null,
    caKey: caKey ?? null,
  };
}
