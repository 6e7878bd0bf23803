/** What a service is asked about a request: one of its own, with what it may know in fields, as others ask it too. */
import type { Middleware } from "../../plugin.ts";
import { targetOf } from "../who/target.ts";

type Context = Parameters<Middleware>[0];

export interface QuestionRules {
  readonly service: string;
  readonly path: string;
  /** Names of the request's fields that are sent. */
  readonly send: readonly string[];
}

/** `body`: what is sent of the request's; null for nothing. */
export function questionAbout(
  c: Context,
  { service, path, send }: QuestionRules,
  body: Uint8Array<ArrayBuffer> | null,
): Request {
  const { method, url, headers } = c.req.raw;
  const { protocol, host } = new URL(url);
  const { path: asked, query } = targetOf(url);
  const fields = new Headers();
  for (const name of send) {
    const value = headers.get(name);
    if (value !== null) fields.set(name, value);
  }
  fields.set("x-forwarded-method", method);
  fields.set("x-forwarded-proto", protocol.slice(0, -1));
  fields.set("x-forwarded-host", host);
  fields.set("x-forwarded-uri", asked + query);
  fields.set("x-forwarded-for", c.env.remoteAddress);
  const type = body === null ? null : headers.get("content-type");
  if (type !== null) fields.set("content-type", type);
  const init = body === null ? { method: "GET" } : { method: "POST", body };
  return new Request(`http://${service}${path}`, { ...init, headers: fields });
}
