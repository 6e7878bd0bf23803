/** What hosts and paths look like in a match, a rewrite or a redirect. */
import type { z } from "zod";
import { checkedText as checked, pathCharactersMax, pathFault, pathParameter } from "../pattern-schema.ts";

export { methodName, pathPattern } from "../pattern-schema.ts";

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const ipv6 = /^\[[0-9a-f:.]+\]$/;

const hostWanted = 'wanted a host such as shop.example, or "*.shop.example" for every name below it';

/** Lower case; null for any host. */
export function hostPattern(): z.ZodType<string | null, string> {
  return checked(hostWanted, (text) => {
    const host = text.toLowerCase();
    if (host === "*") return { value: null };
    if (/:\d+$/.test(host) && !host.endsWith("]"))
      return { fault: "wanted a host without a port: hosts are compared without it" };
    if (host.lastIndexOf("*") > 0) return { fault: 'wanted the * at the front only, as in "*.shop.example"' };
    const name = host.startsWith("*.") ? host.slice(2) : host;
    return hostName.test(name) || (ipv6.test(name) && name === host)
      ? { value: host }
      : { fault: hostWanted };
  });
}

/** The path of a rewrite or a redirect: `*` stands for what the match's `*` took. */
export function rewritePath(): z.ZodType<string, string> {
  return checked("wanted a path such as /new/*", (text) => {
    const fault = pathFault(text);
    if (fault !== null) return { fault };
    if (text.split("/").some((segment) => pathParameter.test(segment))) {
      return { fault: "wanted a path without :parameters: only a * is filled in" };
    }
    return { value: text };
  });
}

/** What a request of our own asks for, as it is sent. */
export function pathAndQuery(): z.ZodType<string, string> {
  const wanted = "wanted a path such as /healthz or /health?full=1, with other characters as %20";
  return checked(wanted, (text) =>
    text.length <= pathCharactersMax && /^\/[\x21\x22\x24-\x7e]*$/.test(text)
      ? { value: text }
      : { fault: wanted },
  );
}

/** With a port where it is needed. */
export function rewriteHost(): z.ZodType<string, string> {
  return checked("wanted a host such as shop.example or shop.example:8443", (text) => {
    const host = text.toLowerCase();
    const match = /^(.*?)(?::(\d{1,5}))?$/.exec(host);
    const name = match?.[1] ?? "";
    const known = (hostName.test(name) || ipv6.test(name)) && Number(match?.[2] ?? 1) <= 65_535;
    return known ? { value: host } : { fault: "wanted a host such as shop.example or shop.example:8443" };
  });
}
