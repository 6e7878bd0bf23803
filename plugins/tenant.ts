/**
 * Downstream. Tells the service whose host name was asked for: `hosts` names tenants by host, `under: shop.example`
 * takes what stands in front of that (`acme.shop.example` is `acme`). What callers send in the header is replaced, so
 * the service can believe it. Later filters find the tenant as `tenant`.
 */
import { defineFilter, z } from "clearway/plugin";

const tenantName = /^[a-z0-9][a-z0-9_-]{0,62}$/i;
const hostName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const nameWanted = "wanted the name of a tenant: letters, digits, dashes and underscores";
const hostWanted = "wanted a host name in lower case, without port, such as shop.example";

const tenant = z.string(nameWanted).regex(tenantName, nameWanted);
const host = z.string(hostWanted).regex(hostName, hostWanted);

const hosts = z.record(z.string(), tenant).superRefine((named, context) => {
  for (const name of Object.keys(named)) {
    if (!hostName.test(name)) context.addIssue({ code: "custom", message: hostWanted, path: [name] });
  }
});

const options = z
  .strictObject({
    hosts: hosts.default({}).describe("tenants by host name"),
    under: host.optional().describe("tenants are the names directly below this host"),
    header: z.string().min(1).default("x-tenant").describe("header that tells the service"),
    fallback: tenant.optional().describe("whose request it is on any other host; without it, 404"),
  })
  .refine(
    ({ hosts, under }) => under !== undefined || Object.keys(hosts).length > 0,
    "wanted hosts, under, or both",
  );

export default defineFilter({
  name: "tenant",
  summary: "Tells the service whose host name was asked for",
  options,
  middleware: ({ hosts, under, header, fallback }, { metrics }) => {
    const named = new Map(Object.entries(hosts));
    const tenantOf = (asked: string) => named.get(asked) ?? labelBelow(asked, under) ?? fallback;
    return async (c, next) => {
      const found = tenantOf(hostOf(c.req.raw.url));
      if (found === undefined) {
        metrics.count("tenant_unknown");
        return c.text("unknown-tenant: nobody is served under this name\n", 404, {
          "x-clearway-reason": "unknown-tenant",
        });
      }
      c.req.raw.headers.set(header, found);
      c.set("tenant", found);
      await next();
    };
  },
});

/** In lower case, without port and without the dot that may stand at its end. */
function hostOf(url: string): string {
  const [, found = ""] = /^[a-z]+:\/\/([^/:?#]*)/.exec(url) ?? [];
  const lower = found.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** `acme` of `acme.shop.example`; nothing of `a.b.shop.example`. */
function labelBelow(asked: string, under: string | undefined): string | undefined {
  if (under === undefined || !asked.endsWith(`.${under}`)) return undefined;
  const label = asked.slice(0, -under.length - 1);
  return tenantName.test(label) ? label : undefined;
}
