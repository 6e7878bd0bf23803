/** The shop itself. It has no data of its own: it asks the other services, each at the local port that leads there. */
import { Hono } from "hono";
import type { Account } from "./accounts.ts";
import type { ServiceName } from "./members.ts";
import type { Receipt } from "./payments.ts";
import type { Product } from "./products.ts";

export interface Order {
  readonly for: string;
  readonly of: string;
  readonly receipt: string;
  readonly totalCents: number;
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Answers of others that it passes on in its own words: their reason tells whose they were. */
const reasonHeader = "x-clearway-reason";

export function storefrontApp(urlOf: (service: ServiceName) => string, fetch: Fetch): Hono {
  const app = new Hono();
  const ask = async <Answer>(service: ServiceName, path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(`${urlOf(service)}${path}`, init);
    if (!response.ok) {
      const reason = response.headers.get(reasonHeader);
      throw new Error(`${service} answered ${response.status}${reason === null ? "" : ` (${reason})`}`);
    }
    return (await response.json()) as Answer;
  };

  app.get("/", async (c) => {
    const { products } = await ask<{ products: Product[] }>("products", "/");
    const rows = products.map(
      ({ name, priceCents }) => `<li>${name}: ${(priceCents / 100).toFixed(2)} EUR</li>`,
    );
    return c.html(`<!doctype html><title>The store</title><h1>The store</h1><ul>${rows.join("")}</ul>`);
  });

  app.post("/checkout", async (c) => {
    const { account: id, sku } = await c.req.json<{ account: string; sku: string }>();
    const [account, product] = await Promise.all([
      ask<Account>("accounts", `/${id}`),
      ask<Product>("products", `/${sku}`),
    ]);
    const receipt = await ask<Receipt>("payments", "/charge", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ account: account.id, amountCents: product.priceCents }),
    });
    const order: Order = {
      for: account.name,
      of: product.name,
      receipt: receipt.id,
      totalCents: receipt.amountCents,
    };
    return c.json(order, 201);
  });

  app.onError((error, c) => c.json({ error: error.message }, 502));
  return app;
}
