/**
 * Ports of loopback for programs that cannot be told to take any. They lie below those that the system gives out by
 * itself (from 32768 on), so that no other socket takes one between the moment it was tried and the moment it is used;
 * test files that run at the same time have their own, by their lane.
 */
import { createServer } from "node:net";

const lanePorts = 10_000;
const first = 10_000 + lanePorts * Number(process.env.CLEARWAY_TEST_LANE ?? 0);
/** Not the same ones in every file: the last one's may still be closing. */
let next = Math.floor(Math.random() * lanePorts);

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < lanePorts; tries++) {
    const port = first + (next++ % lanePorts);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${first} to ${first + lanePorts - 1} is free`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
