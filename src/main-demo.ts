/** What main gives the demo: the program once more for each part of a mesh, and what an operator asks of that mesh. */
import type { DemoVerb } from "./cli/demo.ts";
import type { DemoParts } from "./demo/index.ts";
import type { Host, HostProcesses } from "./host/host.ts";
import type { Clock, Files, Random, Terminal } from "./machine.ts";

export interface DemoBase {
  readonly host: Host;
  readonly processes: HostProcesses;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly terminal: Terminal;
  needsBun(verb: string): number;
  onStop(stop: () => void): void;
}

/** Returns the exit code. */
export async function demonstrate(
  { host, processes, clock, random, files, terminal, needsBun, onStop }: DemoBase,
  { duration }: Parameters<DemoVerb>[0],
): Promise<number> {
  const { startLogged, environment } = processes;
  const { secureFetch, directFetch, sockets } = host;
  if (startLogged === null || secureFetch === null) return needsBun("demo");
  const [
    { runDemo },
    { styledPaint },
    { durationWanted, parseDuration },
    { operatorAccess },
    { freePort },
    temporary,
  ] = await Promise.all([
    import("./demo/index.ts"),
    import("./cli/paint.ts"),
    import("./units.ts"),
    import("./coordinator-client/operator-access.ts"),
    import("./host/sockets/free-port.ts"),
    import("./host/files/temporary.ts"),
  ]);
  const forMs = duration === null ? null : parseDuration(duration);
  if (duration !== null && forMs === null) {
    terminal.error(`clearway: cannot read ${JSON.stringify(duration)} after --for: wanted ${durationWanted}`);
    return 1;
  }
  const paint = styledPaint({ interactive: terminal.interactive.out, environment });
  return temporary.withTemporaryFolder((folder) => {
    const start: DemoParts["start"] = (args, logPath) => {
      const { pid, ended, signal, killGroup } = startLogged({ args, folder, logPath });
      const code = ended.then((end) => end.code);
      return { pid, ended: code, stop: () => signal("SIGTERM"), kill: killGroup };
    };
    const operator: DemoParts["operator"] = async (url) => {
      const token = await files.read(`${folder}/.clearway/operator.token`);
      const parts = { clock, files, fetch: secureFetch, environment: { CLEARWAY_TOKEN: token } };
      return operatorAccess(parts, url);
    };
    const parts = { clock, random, terminal, paint, fetch: directFetch, folder, onStop, start, operator };
    const texts = { readFile: files.read, writeFile: temporary.replaceFile };
    return runDemo({ ...parts, ...texts, freePort: (preferred) => freePort(sockets, preferred) }, { forMs });
  });
}
