/** The store's services, each a server of its own on a loopback port. */
import { type ServerType, serve } from "@hono/node-server";
import type { Hono } from "hono";
import type { Random } from "../machine.ts";
import { accountsApp } from "./accounts.ts";
import type { Pause } from "./pause.ts";
import { paymentsApp } from "./payments.ts";
import { productsApp } from "./products.ts";
import { storefrontApp } from "./storefront.ts";

export const serviceNames = ["storefront", "accounts", "products-v1", "products-v2", "payments"] as const;
export type ServiceName = (typeof serviceNames)[number];

export interface Store {
  readonly ports: Readonly<Record<ServiceName, number>>;
  close(): Promise<void>;
}

export interface StoreParts {
  readonly gatewayUrl: string;
  readonly random: Random;
  readonly pause: Pause;
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

export async function openStore({ gatewayUrl, random, pause, fetch }: StoreParts): Promise<Store> {
  const apps: Record<ServiceName, Hono> = {
    storefront: storefrontApp(gatewayUrl, fetch),
    accounts: accountsApp(pause),
    "products-v1": productsApp("v1", pause),
    "products-v2": productsApp("v2", pause),
    payments: paymentsApp(() => random.id(), pause),
  };
  const opened = await Promise.all(serviceNames.map(async (name) => ({ name, ...(await open(apps[name])) })));
  return {
    ports: Object.fromEntries(opened.map(({ name, port }) => [name, port])) as Record<ServiceName, number>,
    close: async () => {
      await Promise.all(opened.map(({ server }) => close(server)));
    },
  };
}

function open(app: Hono): Promise<{ server: ServerType; port: number }> {
  return new Promise((resolve, reject) => {
    const options = { fetch: app.fetch, hostname: "127.0.0.1", port: 0, overrideGlobalObjects: false };
    const server = serve(options, ({ port }) => resolve({ server, port }));
    server.on("error", reject);
  });
}

function close(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
}
