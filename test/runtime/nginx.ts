/** The real nginx, in a folder of its own. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { until } from "../program.ts";
import { RawClient } from "./raw-client.ts";

export const nginxProgram =
  Bun.which("nginx") ?? ["/usr/sbin/nginx"].find((path) => Bun.which(path) !== null) ?? null;

/** What a suite that needs it is called without it. */
export const needsNginx = nginxProgram === null ? "skipped: needs nginx (apt-get install nginx-light): " : "";

export interface RunningNginx {
  readonly port: number;
  stop(): Promise<void>;
}

/** `files`: by names that the text of `http { … }` may use, below `folder`. */
export async function startNginx(
  http: (place: { readonly port: number; readonly folder: string }) => string,
  files: Readonly<Record<string, string>> = {},
): Promise<RunningNginx> {
  const folder = await mkdtemp(join(tmpdir(), "clearway-nginx-"));
  await chmod(folder, 0o755);
  const port = await freePort();
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const temporary = paths.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  ${http({ port, folder })}
}
`,
  );
  const child = Bun.spawn([nginxProgram!, "-p", folder, "-c", join(folder, "nginx.conf")], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await listening(port);
  return {
    port,
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Until it answers; nginx listens a moment after it was started. */
async function listening(port: number): Promise<void> {
  await until(
    () =>
      RawClient.open(port).then(
        (client) => client.close(),
        () => null,
      ),
    (opened) => opened !== null,
  );
}
