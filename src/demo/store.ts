/** The store's services, each instance a server of its own on a loopback port. */
import { type ServerType, serve } from "@hono/node-server";
import { Hono } from "hono";
import type { Random } from "../machine.ts";
import { accountsApp } from "./accounts.ts";
import { Callers, countCallers } from "./callers.ts";
import type { InstanceName, Member } from "./members.ts";
import type { Pause } from "./pause.ts";
import { paymentsApp } from "./payments.ts";
import { type ProductsVersion, productsApp } from "./products.ts";
import { storefrontApp } from "./storefront.ts";

export interface StoreInstance {
  readonly port: number;
  readonly callers: Callers;
  /** At once, whatever is under way. */
  close(): Promise<void>;
}

export type Store = ReadonlyMap<InstanceName, StoreInstance>;

export interface StoreParts {
  readonly random: Random;
  readonly pause: Pause;
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

export async function openStore(parts: StoreParts, members: readonly Member[]): Promise<Store> {
  const opened = await Promise.all(
    members.map(async (member) => [member.name, await open(parts, member)] as const),
  );
  return new Map(opened);
}

async function open(parts: StoreParts, member: Member): Promise<StoreInstance> {
  const callers = new Callers();
  const app = new Hono()
    .use(countCallers(callers))
    .get("/healthz", (c) => c.text("ok"))
    .route("/", appOf(parts, member));
  const server = await listening(app);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { port, callers, close: () => closed(server) };
}

function appOf({ random, pause, fetch }: StoreParts, { service, version, upstreams }: Member): Hono {
  switch (service) {
    case "storefront":
      return storefrontApp((called) => `http://127.0.0.1:${upstreams.get(called)}`, fetch);
    case "accounts":
      return accountsApp(pause);
    case "products":
      return productsApp(version as ProductsVersion, pause);
    case "payments":
      return paymentsApp(() => random.id(), pause);
  }
}

function listening(app: Hono): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const options = { fetch: app.fetch, hostname: "127.0.0.1", port: 0, overrideGlobalObjects: false };
    const server = serve(options, () => resolve(server));
    server.on("error", reject);
  });
}

function closed(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
}
