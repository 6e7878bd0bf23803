import type { RequestTls } from "../../machine.ts";

/** To the outside: follows no redirect and obeys no proxy variable (Bun's fetch does both by itself). */
export function directFetch(url: string, init?: RequestInit): Promise<Response> {
  return fetch(url, { ...init, redirect: "manual", proxy: false as unknown as string });
}

export function secureFetch(url: string, init: RequestInit, tls: RequestTls): Promise<Response> {
  const { ca, serverName, own } = tls;
  const believed = ca === null ? { rejectUnauthorized: false } : { ca };
  const shown = own === null ? {} : { cert: own.certificate, key: own.key };
  // Bun keeps connections for those requests alone that believe and show the same.
  return directFetch(url, { ...init, tls: { ...believed, ...shown, serverName } } as RequestInit);
}
