/** What is sold; two versions of the service run side by side. */
import { Hono } from "hono";
import type { Pause } from "./pause.ts";

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly priceCents: number;
  readonly stock: number;
}

export const products: readonly Product[] = [
  { sku: "lamp-brass", name: "Brass desk lamp", priceCents: 8900, stock: 14 },
  { sku: "kettle-enamel", name: "Enamel kettle", priceCents: 5400, stock: 31 },
  { sku: "chair-oak", name: "Oak chair", priceCents: 21900, stock: 6 },
  { sku: "blanket-wool", name: "Wool blanket", priceCents: 12900, stock: 22 },
  { sku: "notebook-a5", name: "Notebook A5", priceCents: 1200, stock: 240 },
];

export type ProductsVersion = "v1" | "v2";

/** Every answer says which version gave it, in the header x-version. */
export function productsApp(version: ProductsVersion, pause: Pause): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await pause({ fromMs: 1, toMs: 4 });
    await next();
    c.header("x-version", version);
  });
  app.get("/", (c) => c.json({ products }));
  app.get("/:sku", (c) => {
    const product = products.find(({ sku }) => sku === c.req.param("sku"));
    return product === undefined ? c.json({ error: "no such product" }, 404) : c.json(product);
  });
  return app;
}
