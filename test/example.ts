/** An example, run as its README says: each command in turn, and behind each `#` what must come back. */
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, root, start, startClearway, until } from "./program.ts";

export const examples: readonly string[] = readdirSync(join(root, "examples")).sort();

/** What the examples' ports are called in their configs. */
const portNames = {
  PORT: 8080,
  HTTPS_PORT: 8443,
  ADMIN_PORT: 9900,
  SERVICE_ADMIN_PORT: 9901,
  APP_PORT: 9000,
  BLUE_PORT: 9001,
  GREEN_PORT: 9002,
  COORDINATOR_PORT: 9800,
  PROXY_PORT: 4140,
};

export interface Ports {
  readonly environment: Readonly<Record<string, string>>;
  /** A command of a README with its ports replaced. */
  moved(command: string): string;
  url(path: string): string;
  adminUrl(path: string): string;
}

export async function choosePorts(): Promise<Ports> {
  const names = Object.keys(portNames) as (keyof typeof portNames)[];
  const free = await freePorts(names.length);
  const chosen = new Map(names.map((name, index) => [name, free[index] ?? 0]));
  return {
    environment: Object.fromEntries([...chosen].map(([name, port]) => [name, String(port)])),
    moved: (command) =>
      names.reduce(
        (text, name) =>
          text.replaceAll(new RegExp(`\\b${portNames[name]}\\b`, "g"), String(chosen.get(name))),
        command,
      ),
    url: (path) => `http://127.0.0.1:${chosen.get("PORT")}${path}`,
    adminUrl: (path) => `http://127.0.0.1:${chosen.get("ADMIN_PORT")}${path}`,
  };
}

/** What runs for one test, and ends with it. */
export class ExampleRun {
  readonly #running: Running[] = [];
  readonly #program: readonly string[] | null;

  /** `program`: what stands before the verb; null for the one that all tests run. */
  constructor(program: readonly string[] | null) {
    this.#program = program;
  }

  /** Every command of the README. */
  async all(example: string): Promise<void> {
    const ports = await choosePorts();
    const commands = commandsOf(example);
    expect(commands.length).toBeGreaterThan(1);
    for (const { command, wanted } of commands) {
      if (command.startsWith("npx clearway run -c "))
        await this.gateway(command.split(" ").at(-1) ?? "", ports);
      else if (command.startsWith("npx bun ")) await this.service(command, ports);
      else if (wanted !== null) expect(await shell(ports.moved(command))).toContain(wanted);
      else expect(command).toMatch(/^(for|while|sed|curl|npx clearway check) /);
    }
  }

  async service(command: string, ports: Ports): Promise<void> {
    const [, , file = "", name = "", port = ""] = ports.moved(command).split(" ");
    const service = start([process.execPath, file, name, port]);
    this.#running.push(service);
    await answers(`http://127.0.0.1:${port}/`, service);
  }

  async gateway(config: string, { environment }: Ports): Promise<Running> {
    const args = ["run", "-c", config];
    const gateway =
      this.#program === null
        ? startClearway(args, { environment })
        : start([...this.#program, ...args], { environment });
    this.#running.push(gateway);
    const ended = gateway.ended.then((code) => `it ended with ${code}`);
    const started = until(gateway.output, (output) => output.includes(" serves "));
    const outcome = await Promise.race([started, ended]);
    if (!outcome.includes(" serves ")) throw new Error(`${config}: ${outcome}: ${gateway.output()}`);
    return gateway;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((each) => each.stop()));
  }
}

/** The indented lines of a README; what stands behind two spaces and a `#` must be in the answer. */
export function commandsOf(example: string): { command: string; wanted: string | null }[] {
  const text = readFileSync(join(root, "examples", example, "README.md"), "utf8");
  return [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = ""]) => {
    const [command = "", wanted = null] = line.split(/ {2,}# /);
    return { command: command.trim(), wanted };
  });
}

async function shell(command: string): Promise<string> {
  const done = start(["sh", "-c", command]);
  await done.ended;
  return done.output();
}
