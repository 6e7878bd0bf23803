/** To the outside: follows no redirect and obeys no proxy variable (Bun's fetch does both by itself). */
export function directFetch(url: string, init?: RequestInit): Promise<Response> {
  return fetch(url, { ...init, redirect: "manual", proxy: false as unknown as string });
}
