/** Listeners: where they listen, their limits, filters and routes. */

import type { Address } from "../machine.ts";
import type { ListenerConfig, MessageLimits } from "../snapshot.ts";
import { formatAddress, placeAddress } from "./address.ts";
import type { CertificateContext } from "./certificates.ts";
import { checkFields, checkList } from "./check.ts";
import { type FilterContext, readFilters } from "./filter-list.ts";
import { limitsGrammar, listenerGrammar, routesMax } from "./grammar.ts";
import { mergeLimits } from "./limits.ts";
import { childOf, type Part, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";
import { readRoutes } from "./routes.ts";
import { lineOf, placeName } from "./source.ts";
import { readListenerTls } from "./tls.ts";

/** Null when anything in it is wrong. */
export function readListener(
  name: string,
  part: Part,
  context: FilterContext & CertificateContext & { readonly limits: MessageLimits },
): ListenerConfig | null {
  const { report } = context;
  const except = ["tls", "limits", "filters", "routes"];
  const { some, complete } = checkFields(listenerGrammar, part, {
    report,
    except,
  });
  const limits = readLimits(childOf(part, "limits"), context.limits, report);
  const filters = readFilters(childOf(part, "filters"), "listener", context);
  const list = checkList(childOf(part, "routes"), {
    wanted: "a list of routes",
    entriesMax: routesMax,
    report,
  });
  const timeoutMs = (limits ?? context.limits).routeTimeoutMs;
  const routes = list === null ? null : readRoutes(list, timeoutMs, context);
  const bind = some.bind === undefined ? null : placeAddress(some.bind, childOf(part, "bind")!, report);
  const { protocol, trustedHops } = some;
  const tls = protocol === undefined ? null : readListenerTls(part, protocol, context);
  if (!complete || limits === null || filters === null || routes === null || bind === null) return null;
  if (protocol === undefined || tls === null || trustedHops === undefined) return null;
  const place = { file: part.key.file.name, line: lineOf(part.key) };
  const ofMesh = { callers: "anyone", proxy: null } as const;
  return { name, bind, protocol, tls, ...ofMesh, trustedHops, limits, filters, routes, place };
}

/** Null when they are wrong. */
export function readLimits(part: Part | null, base: MessageLimits, report: Report): MessageLimits | null {
  if (part === null) return base;
  const { some, complete } = checkFields(limitsGrammar, part, { report });
  const merged = mergeLimits(base, some, { part, report });
  return complete ? merged : null;
}

/** Every address is bound once, the admin's too. Port 0 is another one each time. */
export function checkAddresses(
  admin: { readonly address: Address; readonly part: Part } | null,
  listeners: readonly { readonly config: ListenerConfig | null; readonly part: Part }[],
  report: Report,
): void {
  const bound = new Map<string, Part>();
  if (admin !== null) bound.set(socketName(admin.address), admin.part);
  for (const { config, part } of listeners) {
    const bind = childOf(part, "bind");
    if (config === null || bind === null) continue;
    const name = socketName(config.bind);
    const earlier = name.endsWith(":0") ? undefined : bound.get(name);
    if (earlier === undefined) {
      bound.set(name, bind);
      continue;
    }
    const hints =
      earlier.node.range.end > 0
        ? [`the first is at ${placeName(earlier.node.range)}`]
        : ["it is the default of `admin`"];
    report.add(spotOf(bind), bind.path, { message: `cannot bind ${name} twice`, hints });
  }
}

function socketName(address: Address): string {
  if ("unixPath" in address) return formatAddress(address);
  return formatAddress({ ...address, host: address.host === "localhost" ? "127.0.0.1" : address.host });
}
