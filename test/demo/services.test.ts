/** The store's services, each asked directly. */
import { describe, expect, test } from "bun:test";
import { accountsApp } from "../../src/demo/accounts.ts";
import { paymentsApp } from "../../src/demo/payments.ts";
import { products, productsApp } from "../../src/demo/products.ts";
import { storefrontApp } from "../../src/demo/storefront.ts";
import { Tally } from "../../src/demo/tally.ts";

const noPause = () => Promise.resolve();
const post = (body: unknown) => ({ method: "POST", body: JSON.stringify(body) });

describe("accountsApp", () => {
  test("finds an account, and none", async () => {
    const app = accountsApp(noPause);
    expect(await (await app.request("/a-1001")).json()).toMatchObject({ name: "Ada", country: "GB" });
    expect((await app.request("/a-9")).status).toBe(404);
  });
});

describe("productsApp", () => {
  test("names its version on every answer", async () => {
    const app = productsApp("v2", noPause);
    for (const path of ["/", "/lamp-brass", "/none"]) {
      expect((await app.request(path)).headers.get("x-version")).toBe("v2");
    }
  });
});

describe("paymentsApp", () => {
  const app = paymentsApp(() => "p-1", noPause);

  test("captures a charge", async () => {
    const response = await app.request("/charge", post({ account: "a-1001", amountCents: 100 }));
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ id: "p-1", status: "captured", amountCents: 100 });
  });

  test("refuses what is no charge", async () => {
    for (const body of [{}, { account: "a-1001", amountCents: 0 }, { account: 1, amountCents: 5 }]) {
      expect((await app.request("/charge", post(body))).status).toBe(422);
    }
    expect((await app.request("/charge", { method: "POST", body: "{" })).status).toBe(422);
  });
});

describe("storefrontApp", () => {
  const asked: string[] = [];
  const app = storefrontApp(
    (service) => `http://${service}`,
    async (url) => {
      asked.push(url);
      if (url.endsWith("/charge")) return Response.json({ id: "p-1", status: "captured", amountCents: 8900 });
      if (url.endsWith("/none")) return new Response("", { status: 404 });
      return url.includes("//accounts")
        ? Response.json({ id: "a-1001", name: "Ada" })
        : Response.json(products[0]);
    },
  );

  test("a checkout asks accounts, products and payments each at its own address", async () => {
    const response = await app.request("/checkout", post({ account: "a-1001", sku: "lamp-brass" }));
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ for: "Ada", of: "Brass desk lamp", totalCents: 8900 });
    expect(asked).toEqual(["http://accounts/a-1001", "http://products/lamp-brass", "http://payments/charge"]);
  });

  test("a checkout that a service refuses is a 502 that says which", async () => {
    const response = await app.request("/checkout", post({ account: "a-1001", sku: "none" }));
    expect(response.status).toBe(502);
    expect(await response.json()).toEqual({ error: "products answered 404" });
  });
});

describe("Tally", () => {
  test("quantiles stay within a tenth of a millisecond", () => {
    const tally = new Tally();
    for (let ms = 1; ms <= 100; ms += 1) tally.record(ms - 0.05, "right");
    expect(tally.quantileMs(0.5)).toBeCloseTo(50, 5);
    expect(tally.quantileMs(0.99)).toBeCloseTo(99, 5);
  });

  test("counts what is slower than its last slot there, and nothing as 0", () => {
    const tally = new Tally();
    expect(tally.quantileMs(0.5)).toBe(0);
    tally.record(60_000, "wrong");
    expect(tally).toMatchObject({ sent: 1, failed: 1 });
    expect(tally.quantileMs(1)).toBeCloseTo(5000, 5);
  });

  test("adds another, and clears", () => {
    const [one, other] = [new Tally(), new Tally()];
    one.record(1, "right");
    other.record(9, "wrong");
    one.add(other);
    expect(one).toMatchObject({ sent: 2, failed: 1 });
    expect(one.quantileMs(1)).toBeCloseTo(9.1, 5);
    one.clear();
    expect(one).toMatchObject({ sent: 0, failed: 0 });
    expect(one.quantileMs(1)).toBe(0);
  });
});
