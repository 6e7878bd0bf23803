/** What a test starts - services, proxies, callers - and its end: `afterEach(closeAll)`. */
import type { TlsOptions } from "node:tls";
import { RawClient } from "./raw-client.ts";
import { RecordingUpstream, type UpstreamScript } from "./recording-upstream.ts";
import { type GatewayText, gateway, type ProxyOptions, RunningProxy } from "./running-proxy.ts";

/** Callers first, then proxies, then services. */
const open: { stop(): unknown }[] = [];

export async function closeAll(): Promise<void> {
  for (const each of open.splice(0)) await each.stop();
}

/** For what a test starts by itself; returns it. */
export function untilEnd<Each extends { stop(): unknown }>(each: Each): Each {
  open.unshift(each);
  return each;
}

export async function upstreamWith(script?: UpstreamScript, tls?: TlsOptions): Promise<RecordingUpstream> {
  const upstream = await RecordingUpstream.start(script, 0, tls);
  open.push(upstream);
  return upstream;
}

export async function proxyTo(text: GatewayText, options?: ProxyOptions): Promise<RunningProxy> {
  const proxy = await RunningProxy.start(gateway(text), options);
  open.unshift(proxy);
  return proxy;
}

export async function caller(proxy: RunningProxy): Promise<RawClient> {
  const client = await RawClient.open(proxy.port());
  open.unshift({ stop: () => client.close() });
  return client;
}

export interface Setting {
  readonly upstream: RecordingUpstream;
  readonly proxy: RunningProxy;
  readonly client: RawClient;
}

/** One of each. */
export async function setting(script: UpstreamScript, text: Partial<GatewayText> = {}): Promise<Setting> {
  const upstream = await upstreamWith(script);
  const proxy = await proxyTo({ ports: [upstream.port], ...text });
  return { upstream, proxy, client: await caller(proxy) };
}
