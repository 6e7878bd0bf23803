import type { FieldTable, RequestHead } from "../../src/types.ts";

/** A field table over the bytes of `name: value` lines. */
export function fieldTable(fields: readonly (readonly [string, string])[]): FieldTable {
  const bytes = Buffer.from(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""), "latin1");
  const offsets = new Int32Array(fields.length * 4);
  let at = 0;
  for (const [index, [name, value]] of fields.entries()) {
    offsets.set([at, at + name.length, at + name.length + 2, at + name.length + 2 + value.length], index * 4);
    at += name.length + value.length + 4;
  }
  return { bytes, offsets, count: fields.length };
}

export interface HeadParts {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly query?: string;
  readonly fields?: readonly (readonly [string, string])[];
}

export function requestHead(parts: HeadParts): RequestHead {
  const host = parts.host ?? "shop.example";
  return {
    method: parts.method ?? "GET",
    scheme: "http",
    authority: host,
    host,
    path: parts.path ?? "/",
    query: parts.query ?? "",
    fields: fieldTable(parts.fields ?? []),
  };
}
