/** Where a store is, from its URL. What is wrong with one is said without showing it: there may be a password in it. */
import { secret, z } from "../../plugin.ts";

export interface StoreAddress {
  readonly socket:
    | { readonly host: string; readonly port: number; readonly tls: true }
    | { readonly host: string; readonly port: number; readonly tls: false }
    | { readonly path: string; readonly tls: false };
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const defaultPort = 6379;
const unixStart = /^unix:\/\/([^/@]*@)?(?=\/)/;
const forms =
  "wanted redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH?db=DATABASE";

export const storeOption = secret().transform((text, context): StoreAddress => {
  const address = parseStoreAddress(text);
  if (typeof address !== "string") return address;
  context.addIssue({ code: "custom", message: address, input: null });
  return z.NEVER;
});

/** The address, or what was wanted instead. */
export function parseStoreAddress(text: string): StoreAddress | string {
  try {
    // A URL without a host can have neither user nor password, so a socket's gets one.
    const unix = unixStart.exec(text);
    if (unix === null) return networkAddress(new URL(text));
    return unixAddress(new URL(`redis://${unix[1] ?? ""}localhost${text.slice(unix[0].length)}`));
  } catch {
    return forms;
  }
}

function networkAddress(url: URL): StoreAddress | string {
  const { protocol, hostname, port, pathname, search, hash } = url;
  if (protocol !== "redis:" && protocol !== "rediss:") return forms;
  if (hostname === "" || search !== "" || hash !== "") return forms;
  const database = databaseOf(pathname.replace(/^\//, ""));
  if (database === null) return "wanted the number of a database behind the slash";
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const place = { host, port: port === "" ? defaultPort : Number(port) };
  const socket =
    protocol === "rediss:" ? ({ ...place, tls: true } as const) : ({ ...place, tls: false } as const);
  return { socket, ...credentialsOf(url), database };
}

function unixAddress(url: URL): StoreAddress | string {
  const { pathname, searchParams } = url;
  if (pathname.length < 2) return "wanted the path of a socket, such as unix:///run/redis.sock";
  const database = databaseOf(searchParams.get("db") ?? "");
  if (database === null) return "wanted the number of a database, such as ?db=1";
  return { socket: { path: decodeURIComponent(pathname), tls: false }, ...credentialsOf(url), database };
}

function databaseOf(text: string): number | null {
  if (text === "") return 0;
  return /^\d{1,5}$/.test(text) ? Number(text) : null;
}

function credentialsOf({ username, password }: URL): Pick<StoreAddress, "username" | "password"> {
  const decoded = (text: string) => (text === "" ? undefined : decodeURIComponent(text));
  return { username: decoded(username), password: decoded(password) };
}

/** For people; without what nobody is to see. */
export function shownAddress({ socket, database }: StoreAddress): string {
  const place = "path" in socket ? socket.path : `${socket.host}:${socket.port}`;
  return `${place}, database ${database}`;
}
