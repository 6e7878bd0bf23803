/** Who pays: takes a charge and says what became of it. */
import { Hono } from "hono";
import type { Pause } from "./pause.ts";

export interface Charge {
  readonly account: string;
  readonly amountCents: number;
}

export interface Receipt {
  readonly id: string;
  readonly status: "captured";
  readonly amountCents: number;
}

export function paymentsApp(newId: () => string, pause: Pause): Hono {
  const app = new Hono();
  app.post("/charge", async (c) => {
    const charge = await c.req.json<Partial<Charge>>().catch((): Partial<Charge> => ({}));
    const { account, amountCents } = charge;
    if (typeof account !== "string" || typeof amountCents !== "number" || amountCents <= 0) {
      return c.json({ error: "wanted an account and an amountCents above 0" }, 422);
    }
    await pause({ fromMs: 6, toMs: 14 });
    const receipt: Receipt = { id: newId(), status: "captured", amountCents };
    return c.json(receipt, 201);
  });
  return app;
}
