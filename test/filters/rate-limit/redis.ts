/** A real Redis on loopback, that a test can stop, kill and start again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../free-ports.ts";
import { until } from "../../program.ts";

const program = Bun.which("redis-server") ?? Bun.which("valkey-server");
export const hasRedis = program !== null;
/** What a suite that needs it is called without it. */
export const needsRedis = hasRedis ? "" : "skipped: needs redis-server (apt-get install redis-server): ";

export class RunningRedis {
  readonly folder = mkdtempSync(join(tmpdir(), "clearway-redis-"));
  #process: ReturnType<typeof Bun.spawn> | null = null;

  private constructor(
    readonly port: number,
    readonly password: string,
  ) {}

  static async start(password = ""): Promise<RunningRedis> {
    const redis = new RunningRedis(await freePort(), password);
    await redis.start();
    return redis;
  }

  get unixPath(): string {
    return join(this.folder, "redis.sock");
  }

  /** As it was left: without what it knew. */
  async start(): Promise<void> {
    const login = this.password === "" ? [] : ["--requirepass", this.password];
    this.#process = Bun.spawn(
      [
        program!,
        ...["--bind", "127.0.0.1", "--port", String(this.port), "--unixsocket", this.unixPath],
        ...["--save", "", "--appendonly", "no", "--dir", this.folder, ...login],
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    await this.answered("PING", "PONG");
  }

  /** What it says to one command, typed as text. */
  async command(text: string): Promise<string> {
    const login = this.password === "" ? "" : `AUTH ${this.password}\r\n`;
    const answers: string[] = [];
    const done = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: this.port,
      socket: {
        data: (_, chunk) => void answers.push(chunk.toString()),
        close: () => done.resolve(),
        error: () => done.resolve(),
      },
    });
    socket.write(`${login}${text}\r\nQUIT\r\n`);
    await done.promise;
    return answers.join("");
  }

  answered(text: string, part: string): Promise<unknown> {
    return until(
      () => this.command(text).catch((error: Error) => error.message),
      (answer) => answer.includes(part),
    );
  }

  pause(): void {
    this.#process!.kill("SIGSTOP");
  }

  resume(): void {
    this.#process!.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#process!.kill("SIGKILL");
    await this.#process!.exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
