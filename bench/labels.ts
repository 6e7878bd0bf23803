/** How proxies are called in pictures and in README.md; rows and summaries use the names of their variants. */
const labels: Readonly<Record<string, string>> = {
  clearway: "Clearway",
  haproxy: "HAProxy",
  caddy: "Caddy",
  envoy: "Envoy",
  "hono proxy()": "Hono proxy()",
  direct: "no proxy",
};

export function labelOf(variant: string): string {
  return labels[variant] ?? variant;
}
