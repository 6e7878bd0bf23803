/** An app behind our own listener, as tests ask it. */
import { defaultLimits } from "../../src/config/limits.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { host } from "../../src/host/index.ts";
import type { Clock } from "../../src/machine.ts";
import {
  type App,
  type AppListener,
  type AppOptions,
  type AppTls,
  serveApp,
} from "../../src/runtime/app-listener.ts";
import type { MessageLimits } from "../../src/snapshot.ts";
import type { LogFields } from "../../src/types.ts";
import type { Pair } from "../certificates.ts";
import { untilEnd } from "./setting.ts";
import { clientAuthority } from "./tls/secured.ts";

export function entry(pair: Pair, more: Partial<AppTls> = {}): AppTls {
  return { ...pair, clientCa: null, clientAuth: "required", versionMin: "1.2", ...more };
}
export const asking: Partial<AppTls> = { clientCa: clientAuthority.certificate, clientAuth: "optional" };

export const tell: App = (request, env) => Response.json([request.url, env.identity, env.listener]);

export interface ServingOptions extends Partial<Pick<AppOptions, "tls">> {
  readonly limits?: Partial<MessageLimits>;
  readonly clock?: Clock;
}

export interface Serving {
  readonly listener: AppListener;
  readonly port: number;
  readonly log: { readonly message: string; readonly fields: LogFields }[];
}

export async function serving(
  app: App,
  { limits = {}, clock = systemClock, ...options }: ServingOptions,
): Promise<Serving> {
  const log: Serving["log"] = [];
  const say = (message: string, fields: LogFields = {}) => void log.push({ message, fields });
  const listener = await serveApp(
    { sockets: host.sockets, clock, log: { debug: say, info: say, warn: say, error: say } },
    {
      name: "coordinator",
      address: { host: "127.0.0.1", port: 0 },
      limits: { ...defaultLimits, ...limits },
      ...options,
    },
    app,
  );
  untilEnd({ stop: () => listener.drain(0) });
  return { listener, port: (listener.address as { port: number }).port, log };
}
