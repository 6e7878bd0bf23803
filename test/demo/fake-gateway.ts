/** A gateway without sockets: answers the demo's shoppers and its questions to admin as the real one would. */
import { products } from "../../src/demo/products.ts";

export interface Faults {
  /** Answers this one checkout, counted from 1, with 503. */
  readonly refuseCheckout?: number;
  /** Takes every file for live, broken ones too. */
  readonly takesAnything?: true;
  readonly neverReady?: true;
  readonly withoutRequestId?: true;
}

export class FakeGateway {
  readonly #faults: Faults;
  #version = 1;
  #problems: unknown[] = [];
  #checkouts = 0;

  constructor(faults: Faults = {}) {
    this.#faults = faults;
  }

  /** What saving a config does. */
  save(text: string): void {
    const line = text.split("\n").findIndex((each) => each.includes("to: paymets")) + 1;
    if (line === 0 || this.#faults.takesAnything === true) {
      this.#version += 1;
      this.#problems = [];
    } else {
      this.#problems = [{ file: "/demo/clearway.yaml", line, column: 13, message: 'no service "paymets"' }];
    }
  }

  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url);
    const response = this.#admin(pathname) ?? this.#store(pathname, init);
    if (this.#faults.withoutRequestId !== true) response.headers.set("x-request-id", "1");
    return Promise.resolve(response);
  }

  #admin(path: string): Response | null {
    if (path === "/readyz") return new Response("", { status: this.#faults.neverReady ? 503 : 200 });
    if (path === "/snapshot") return Response.json({ version: this.#version });
    if (path === "/problems") return Response.json({ problems: this.#problems });
    return null;
  }

  #store(path: string, init: RequestInit): Response {
    if (path === "/checkout" && init.method === "POST") {
      this.#checkouts += 1;
      if (this.#checkouts !== this.#faults.refuseCheckout)
        return Response.json({ receipt: "r" }, { status: 201 });
      const headers = { "x-clearway-reason": "no-healthy-endpoint" };
      return new Response("", { status: 503, headers });
    }
    if (path === "/shop/old") return new Response("", { status: 308, headers: { location: "/old" } });
    if (path === "/api/products/none") return Response.json({ error: "no such product" }, { status: 404 });
    const headers = { "x-version": "v1" };
    if (path === "/api/products") return Response.json({ products }, { headers });
    if (path.startsWith("/api/products/")) return Response.json(products[0], { headers });
    if (path.startsWith("/api/accounts/")) return Response.json({ country: "GB" });
    return new Response(path === "/healthz" ? "ok" : products[0]?.name);
  }
}
