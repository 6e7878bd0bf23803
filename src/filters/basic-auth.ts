/**
 * Downstream. Asks for a user and a password (RFC 7617), of which the config has hashes. To check one is dear on
 * purpose, so what passed is known for a while, and only a few are checked at a time.
 */
import { defineFilter, duration, type Middleware, type Tools, z } from "../plugin.ts";
import { realmOption, refusalOf, unauthenticated } from "./refusal.ts";
import { BoundedMap } from "./who/bounded-map.ts";
import { byCallerName, nameHeaderOption, passName } from "./who/caller-name.ts";
import { decoyHash, type PasswordHash, passwordHash, passwordHashOption } from "./who/password-hash.ts";

/** Of the header's value: users and passwords that are longer are nobody's. */
const CHARACTERS_MAX = 1024;
const KNOWN_BOUNDS = { entriesMax: 10_000, charactersMax: 1024 * 1024 };
/** Each takes a thread of the process for up to a second. */
const CHECKS_MAX = 2;
const WAITING_MAX = 64;

const options = z.strictObject({
  users: byCallerName(passwordHashOption).describe(
    "who may: names, and hashes of their passwords, pbkdf2:ITERATIONS:SALT:HASH or sha256:SALT:HASH",
  ),
  remember: duration({ minMs: 1000, maxMs: 3_600_000 })
    .default(300_000)
    .describe("how long a password that was right is not checked anew"),
  header: nameHeaderOption,
  forward: z.boolean().default(false).describe("whether the service gets the password too"),
  realm: realmOption,
});

type Options = z.output<typeof options>;
type Why = "missing" | "wrong" | "busy";

export default defineFilter({
  name: "basic-auth",
  summary: "Asks for a user and a password, whose hash it knows, and passes the user's name on",
  options,
  middleware: (given, tools) => {
    const { header, forward, realm } = given;
    const passwords = new Passwords(given, tools);
    const refuse = (why: Why) => {
      tools.metrics.count("basic_auth_refused", { why });
      return why === "busy"
        ? tooMany()
        : unauthenticated(sentences[why], `Basic realm="${realm}", charset="UTF-8"`);
    };
    const pass = (name: string, ...[c, next]: Parameters<Middleware>): ReturnType<Middleware> => {
      if (!forward) c.req.raw.headers.delete("authorization");
      passName(c, header, name);
      return next();
    };
    return (c, next) => {
      const shown = c.req.raw.headers.get("authorization");
      if (shown === null || !/^basic /i.test(shown)) return Promise.resolve(refuse("missing"));
      const known = passwords.known(shown);
      if (known !== null) return pass(known, c, next);
      return passwords
        .check(shown)
        .then((found) => ("name" in found ? pass(found.name, c, next) : refuse(found.why)));
    };
  },
});

const sentences = {
  missing: "the request has no user and password",
  wrong: "the user or the password is wrong",
};

function tooMany(): Response {
  const sentence = "too many passwords are being checked at the moment";
  const headers = { "retry-after": "1" };
  return refusalOf({ status: 503, reason: "too-many-attempts", sentence, headers });
}

type Found = { readonly name: string } | { readonly why: Why };
const wrong: Found = { why: "wrong" };

class Passwords {
  readonly #hashes: ReadonlyMap<string, PasswordHash>;
  readonly #decoy: PasswordHash;
  readonly #rememberMs: number;
  readonly #tools: Tools;
  readonly #known = new BoundedMap<{ readonly name: string; readonly untilMs: number }>(KNOWN_BOUNDS);
  /** Whose answers others wait for: a browser sends one password on several connections. */
  readonly #checking = new Map<string, Promise<Found>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor({ users, remember }: Options, tools: Tools) {
    this.#hashes = new Map(Object.entries(users).map(([name, text]) => [name, passwordHash(text)]));
    this.#decoy = decoyHash([...this.#hashes.values()]);
    this.#rememberMs = remember;
    this.#tools = tools;
  }

  known(shown: string): string | null {
    const known = this.#known.get(shown);
    return known !== undefined && this.#tools.clock.now() < known.untilMs ? known.name : null;
  }

  async check(shown: string): Promise<Found> {
    const pair = pairOf(shown);
    if (pair === null) return wrong;
    const same = this.#checking.get(shown);
    if (same !== undefined) return same;
    if (this.#waiting.length >= WAITING_MAX) return { why: "busy" };
    const checking = this.#checkPair(pair).finally(() => this.#checking.delete(shown));
    this.#checking.set(shown, checking);
    const found = await checking;
    const untilMs = this.#tools.clock.now() + this.#rememberMs;
    if ("name" in found) this.#known.set(shown, { name: found.name, untilMs });
    return found;
  }

  async #checkPair({ name, password }: Pair): Promise<Found> {
    if (this.#running >= CHECKS_MAX) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      const right = await (this.#hashes.get(name) ?? this.#decoy).matches(password);
      return right ? { name } : wrong;
    } finally {
      // Whoever waits goes on in this one's place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

interface Pair {
  readonly name: string;
  readonly password: string;
}

/** RFC 7617, section 2: base64 of `user:password` in UTF-8; the first colon parts them. */
function pairOf(shown: string): Pair | null {
  if (shown.length > CHARACTERS_MAX) return null;
  const encoded = shown.slice(6).trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return null;
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  return colon === -1 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
