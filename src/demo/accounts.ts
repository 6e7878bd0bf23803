/** Who buys. */
import { Hono } from "hono";
import type { Pause } from "./pause.ts";

export interface Account {
  readonly id: string;
  readonly name: string;
  readonly country: string;
  readonly since: number;
}

export const accounts: readonly Account[] = [
  { id: "a-1001", name: "Ada", country: "GB", since: 2019 },
  { id: "a-1002", name: "Grace", country: "US", since: 2021 },
  { id: "a-1003", name: "Emmy", country: "DE", since: 2018 },
  { id: "a-1004", name: "Sofia", country: "RU", since: 2023 },
];

export function accountsApp(pause: Pause): Hono {
  const app = new Hono();
  app.get("/:id", async (c) => {
    await pause({ fromMs: 1, toMs: 3 });
    const account = accounts.find(({ id }) => id === c.req.param("id"));
    return account === undefined ? c.json({ error: "no such account" }, 404) : c.json(account);
  });
  return app;
}
