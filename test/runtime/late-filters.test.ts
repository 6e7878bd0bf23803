/** Filters that wait for something before they go on: what they send leaves although no socket's event is under way. */
import { afterEach, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defineFilter, type FilterDefinition, z } from "../../src/plugin.ts";
import { gateway, RunningProxy } from "./running-proxy.ts";

const later = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
const options = z.strictObject({});

const patientFilters: readonly (readonly [where: "listener" | "route", FilterDefinition])[] = [
  [
    "listener",
    defineFilter({
      name: "after-a-promise",
      summary: "Waits for what is there already",
      options,
      middleware: () => async (_c, next) => {
        await null;
        await next();
      },
    }),
  ],
  [
    "listener",
    defineFilter({
      name: "after-a-timer",
      summary: "Waits for the time",
      options,
      middleware: () => async (_c, next) => {
        await later();
        await next();
      },
    }),
  ],
  [
    "route",
    defineFilter({
      name: "before-a-sending",
      summary: "Waits around the call",
      options,
      upstream: () => async (_call, send) => {
        await null;
        return send();
      },
    }),
  ],
];

let upstream: Server;
let proxy: RunningProxy;
afterEach(async () => {
  await proxy.stop();
  upstream.closeAllConnections();
  upstream.close();
});

for (const [where, filter] of patientFilters) {
  test(`a filter that goes on ${filter.name} reaches a service over a connection that stands`, async () => {
    let connections = 0;
    upstream = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk) => void chunks.push(chunk));
      request.on("end", () => response.end(`${request.method} ${Buffer.concat(chunks)}`));
    });
    upstream.on("connection", () => void connections++);
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    const ports = [(upstream.address() as AddressInfo).port];
    const text = gateway({
      ports,
      [where]: `${where === "listener" ? "    " : "        "}filters: [${filter.name}]`,
    });
    proxy = await RunningProxy.start(text, { filters: new Map([[filter.name, filter]]) });
    for (const method of ["GET", "POST", "GET", "POST"]) {
      const response = await fetch(`http://127.0.0.1:${proxy.port()}/`, {
        method,
        ...(method === "POST" ? { body: "body" } : {}),
      });
      expect(await response.text()).toBe(method === "POST" ? "POST body" : "GET ");
    }
    expect(connections).toBe(1);
  });
}
