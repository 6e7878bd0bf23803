/** A node that learns of a service of its mesh when somebody calls it: supervisor, workers, and all between. */
import { afterEach, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { freePorts } from "../free-ports.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { closeAll, untilEnd } from "../runtime/setting.ts";
import { TestNode } from "./test-node.ts";

afterEach(closeAll);

async function running(workers: number, ...mesh: readonly string[]) {
  const server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  untilEnd({
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  });
  const [admin, port] = (await freePorts(2)) as [number, number];
  const upstream = String((server.address() as AddressInfo).port);
  const place = [String(admin), String(port), upstream, String(workers), ...mesh];
  const node = new TestNode([process.execPath, join(import.meta.dir, "on-demand-node.ts"), ...place], "");
  untilEnd({
    stop: () => {
      node.signal("SIGKILL");
      return node.ended;
    },
  });
  await node.said(/listener outbound on/);
  return { node, port, admin };
}

async function client(port: number): Promise<RawClient> {
  const opened = await RawClient.open(port);
  untilEnd({ stop: () => opened.close() });
  return opened;
}

function get(host: string): string {
  return `GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

function asked(node: TestNode): string[] {
  return [...node.text.matchAll(/^asked for (.*)$/gm)].map(([, services]) => services!);
}

test("a node serves the first call to a service that it did not know, whichever worker has it", async () => {
  const { node, port, admin } = await running(2, "shop", "orders");
  const clients = await Promise.all(Array.from({ length: 12 }, () => client(port)));
  const answers = await Promise.all(clients.map((one) => one.exchange(get("shop.mesh"))));
  expect(answers.map((answer) => [statusOf(answer), answer.body])).toEqual(
    Array(12).fill([200, "shop.mesh /a"]),
  );
  // Once for the node, or once more when a worker's wish came after the answer for the other one's.
  expect(asked(node).length).toBeLessThanOrEqual(2);
  expect(new Set(asked(node))).toEqual(new Set(["shop"]));
  const view = (await (await fetch(`http://127.0.0.1:${admin}/snapshot`)).json()) as {
    services: { name: string; discovery: { source: string; instances: number } }[];
  };
  expect(view.services).toMatchObject([{ name: "shop", discovery: { source: "registry", instances: 1 } }]);
  expect(statusOf(await clients[0]!.exchange(get("here.mesh")))).toBe(200);
}, 30_000);

test("a node says at once that there is no such service, after it asked once", async () => {
  const { node, port } = await running(2, "shop");
  const clients = await Promise.all(Array.from({ length: 8 }, () => client(port)));
  const refused = async (one: RawClient) => {
    const answer = await one.exchange(get("shopp.mesh"));
    return [statusOf(answer), ...values(answer, "x-clearway-reason")];
  };
  for (const one of clients) expect(await refused(one)).toEqual([502, "no-such-service"]);
  expect(asked(node)).toEqual(["shopp"]);
  expect(statusOf(await clients[0]!.exchange(get("shop.mesh")))).toBe(200);
}, 30_000);

test("a second signal ends a node that waits for its mesh to tell its callers", async () => {
  const { node } = await running(1, "shop");
  node.signal("SIGTERM");
  await node.said(/draining/);
  node.signal("SIGTERM");
  expect(await node.ended).toBe(0);
});
