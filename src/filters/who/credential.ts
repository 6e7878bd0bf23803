/** Where a caller puts a key or a token: read from there, and taken out where the service shall not see it. */
import { type Middleware, z } from "../../plugin.ts";

type Context = Parameters<Middleware>[0];

const wanted = "wanted header:NAME, cookie:NAME or query:NAME";
/** Names of fields and cookies are tokens: RFC 9110, section 5.6.2, and RFC 6265, section 4.1.1. */
const placePattern = /^((header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}|query:[^\s&=#]{1,128})$/;
const place = z.string(wanted).regex(placePattern, wanted);

export const placesOption = z.union([place, z.array(place).min(1).max(8)], {
  error: `${wanted}, or a list of these`,
});

export interface CredentialPlace {
  /** What stands there; null where nothing does. */
  read(c: Context): string | null;
  /** The service does not get it. */
  takeOut(c: Context): void;
}

/** In the order in which they are looked at. */
export function credentialPlaces(written: z.output<typeof placesOption>): readonly CredentialPlace[] {
  return [written].flat().map((text) => {
    const colon = text.indexOf(":");
    const name = text.slice(colon + 1);
    if (text.startsWith("header:")) return headerPlace(name.toLowerCase());
    return text.startsWith("cookie:") ? cookiePlace(name) : queryPlace(name);
  });
}

/** Of `authorization` only what follows `Bearer ` (RFC 6750, section 2.1); of others all, with or without that. */
function headerPlace(name: string): CredentialPlace {
  return {
    read(c) {
      const value = c.req.raw.headers.get(name);
      if (value === null) return null;
      if (isBearer(value)) return value.slice(7).trimStart();
      return name === "authorization" ? null : value;
    },
    takeOut: (c) => c.req.raw.headers.delete(name),
  };
}

function isBearer(value: string): boolean {
  if (value.charCodeAt(6) !== SPACE) return false;
  for (let i = 0; i < SCHEME.length; i++) {
    if ((value.charCodeAt(i) | LOWER_BIT) !== SCHEME.charCodeAt(i)) return false;
  }
  return true;
}

const SCHEME = "bearer";
const SPACE = 0x20;
/** What tells a letter of ASCII in lower case from the same in upper case. */
const LOWER_BIT = 0x20;

function cookiePlace(name: string): CredentialPlace {
  const mine = (pair: string) => pair.slice(0, Math.max(0, pair.indexOf("="))).trim() === name;
  const pairs = (c: Context) => (c.req.raw.headers.get("cookie") ?? "").split(";");
  return {
    read(c) {
      const pair = pairs(c).find(mine);
      return pair === undefined ? null : pair.slice(pair.indexOf("=") + 1).trim();
    },
    takeOut(c) {
      const rest = pairs(c).filter((pair) => !mine(pair));
      if (rest.length === 0) c.req.raw.headers.delete("cookie");
      else c.req.raw.headers.set("cookie", rest.join(";").trim());
    },
  };
}

function queryPlace(name: string): CredentialPlace {
  return {
    read: (c) => c.req.query(name) ?? null,
    takeOut(c) {
      const { url } = c.req.raw;
      const start = url.indexOf("?") + 1;
      // Piece by piece: to decode and encode the others again could change how they are spelt.
      const kept = url
        .slice(start)
        .split("&")
        .filter((piece) => !new URLSearchParams(piece).has(name));
      const query = kept.length === 0 ? "" : `?${kept.join("&")}`;
      c.req.raw = new Request(url.slice(0, start - 1) + query, c.req.raw);
    },
  };
}
