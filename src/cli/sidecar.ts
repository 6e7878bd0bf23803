import { Command, Option } from "commander";

/** As the user wrote it. */
export interface SidecarArguments {
  readonly service: string;
  /** Null: a command listens where PORT of its environment says. */
  readonly app: string | null;
  readonly coordinator: string;
  readonly version: string | null;
  readonly zone: string | null;
  readonly inbound: string;
  readonly outbound: string;
  readonly admin: string;
  readonly advertise: string | null;
  readonly upstreams: readonly string[];
  readonly state: string;
  readonly token: string | null;
  readonly tokenFile: string | null;
  readonly drain: string;
  readonly transparent: "yes" | "no";
  /** Whether code that the mesh document brings is run. */
  readonly plugins: "yes" | "no";
}

/** `command`: what runs beside it; null for a sidecar alone. */
export type SidecarVerb = (given: SidecarArguments, command: readonly string[] | null) => Promise<number>;

interface Options {
  readonly version?: string;
  readonly service: string;
  readonly app?: string;
  readonly coordinator: string;
  readonly zone?: string;
  readonly inbound: string;
  readonly outbound: string;
  readonly admin: string;
  readonly advertise?: string;
  readonly upstream: readonly string[];
  readonly state?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly drain: string;
  readonly transparent?: true;
  readonly plugins: boolean;
}

const appFlag = "--app <host:port>";

export function sidecarCommand(start: SidecarVerb, finish: (code: number) => void): Command {
  const app = new Option(appFlag, "where the instance listens").makeOptionMandatory();
  return withOptions(new Command("sidecar"), app)
    .description(
      "run a node beside one instance of a service: it joins the mesh and carries the service's calls",
    )
    .action(async (options: Options) => finish(await start(argumentsOf(options), null)));
}

export function execCommand(start: SidecarVerb, finish: (code: number) => void): Command {
  const words = "where the command listens (at PORT of its environment: a free port, unless it is set)";
  return withOptions(new Command("exec"), new Option(appFlag, words))
    .description(
      "run a command with its sidecar around it: it registers when its port answers, and drains at the end",
    )
    .argument("<command...>", "the command and its arguments, after --")
    .action(async (command: readonly string[], options: Options) =>
      finish(await start(argumentsOf(options), command)),
    );
}

function withOptions(command: Command, app: Option): Command {
  return command
    .requiredOption("--service <name>", "the service whose instance this is")
    .addOption(app)
    .requiredOption("--coordinator <url>", "https://HOST:PORT; several with commas between")
    .option("--version <version>", "of the instance, for splits")
    .option("--zone <zone>", "where it stands: its own zone's instances are called first")
    .option("--inbound <host:port>", "where the mesh calls it; [::]:4143 for IPv6 too", "0.0.0.0:4143")
    .option(
      "--outbound <host:port>",
      "where it calls others: Host NAME.mesh, or as an HTTP proxy",
      "127.0.0.1:4140",
    )
    .option("--admin <host:port>", "health, metrics, configuration", "127.0.0.1:0")
    .option("--advertise <host:port>", "where callers reach --inbound, if not there")
    .option(
      "--upstream <service=host:port>",
      "a port that leads to one service; may be repeated",
      collected,
      [],
    )
    .option("--state <folder>", "key, certificate and what the mesh said last (.clearway/NAME)")
    .option("--token <token>", "the join token; CLEARWAY_JOIN_TOKEN and --token-file show it to fewer")
    .option("--token-file <file>", "where the join token stands")
    .option("--drain <duration>", "how long requests may take to end when it stops", "30s")
    .option("--no-plugins", "refuse a mesh document that brings code of its own")
    .option("--transparent", "take the app's connections without its knowledge (comes later)");
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function argumentsOf(options: Options): SidecarArguments {
  const { service, coordinator, inbound, outbound, admin, drain } = options;
  return {
    ...{ service, coordinator, inbound, outbound, admin, drain },
    app: options.app ?? null,
    version: options.version ?? null,
    zone: options.zone ?? null,
    advertise: options.advertise ?? null,
    upstreams: options.upstream,
    state: options.state ?? `.clearway/${service}`,
    token: options.token ?? null,
    tokenFile: options.tokenFile ?? null,
    transparent: options.transparent === true ? "yes" : "no",
    plugins: options.plugins ? "yes" : "no",
  };
}
