/**
 * Downstream. Lets pass who has one of the keys. What is compared are digests, so the time tells nothing of how much of
 * a key is right; a key that passed is known by its text from then on, because a digest takes twenty times as long.
 */
import { defineFilter, type Middleware, secret, type Tools, z } from "../plugin.ts";
import { realmOption, unauthenticated } from "./refusal.ts";
import { BoundedMap } from "./who/bounded-map.ts";
import { byCallerName, nameHeaderOption, passName } from "./who/caller-name.ts";
import { type CredentialPlace, credentialPlaces, placesOption } from "./who/credential.ts";
import { sha256Hex } from "./who/digests.ts";

type Context = Parameters<Middleware>[0];

const KEY_CHARACTERS_MAX = 512;
const KNOWN_BOUNDS = { entriesMax: 10_000, charactersMax: 1024 * 1024 };
const DIGEST = /^sha256:([0-9a-f]{64})$/i;

const key = secret().superRefine((text, context) => {
  const fault = (message: string) => context.addIssue({ code: "custom", message, input: text });
  if (text.startsWith("sha256:")) {
    if (!DIGEST.test(text)) fault("wanted 64 hexadecimal digits behind sha256:");
  } else if (!/^[!-~]*$/.test(text)) fault("wanted printable letters of ASCII without spaces");
  else if (text.length < 16) fault("wanted at least 16 characters");
  else if (text.length > KEY_CHARACTERS_MAX) fault(`wanted at most ${KEY_CHARACTERS_MAX} characters`);
});

const options = z.strictObject({
  keys: byCallerName(key).describe(
    "the keys, by the names of their owners: text, or sha256: and the digest of it; best read by file:PATH",
  ),
  from: placesOption
    .default("header:x-api-key")
    .describe("where a key stands; of a list, the first place that has one"),
  header: nameHeaderOption,
  forward: z.boolean().default(false).describe("whether the service gets the key too"),
  realm: realmOption,
});

type Options = z.output<typeof options>;

export default defineFilter({
  name: "api-key",
  summary: "Asks for one of the keys that it knows, and passes its owner's name on",
  options,
  middleware: (given, tools) => {
    const places = credentialPlaces(given.from);
    const gate = new Gate(given, tools);
    return (c, next) => {
      for (const place of places) {
        const text = place.read(c);
        if (text !== null && text !== "") return gate.pass(c, { text, place }, next);
      }
      return gate.refuse("missing");
    };
  },
});

class Gate {
  readonly #options: Options;
  readonly #tools: Tools;
  readonly #names: Promise<ReadonlyMap<string, string>>;
  readonly #known = new BoundedMap<string>(KNOWN_BOUNDS);

  constructor(given: Options, tools: Tools) {
    this.#options = given;
    this.#tools = tools;
    this.#names = namesByDigest(given.keys);
  }

  pass(
    c: Context,
    shown: { readonly text: string; readonly place: CredentialPlace },
    next: Parameters<Middleware>[1],
  ): ReturnType<Middleware> {
    const { text, place } = shown;
    const name = this.#known.get(text);
    if (name === undefined) {
      if (text.length > KEY_CHARACTERS_MAX) return this.refuse("unknown");
      return this.#find(text).then((found) => (found ? this.pass(c, shown, next) : this.refuse("unknown")));
    }
    if (!this.#options.forward) place.takeOut(c);
    passName(c, this.#options.header, name);
    return next();
  }

  async #find(text: string): Promise<boolean> {
    const name = (await this.#names).get(await sha256Hex(text));
    if (name !== undefined) this.#known.set(text, name);
    return name !== undefined;
  }

  refuse(why: "missing" | "unknown"): Promise<Response> {
    this.#tools.metrics.count("api_key_refused", { why });
    const sentence = why === "missing" ? "the request has no key" : "the key is not known";
    return Promise.resolve(unauthenticated(sentence, `Key realm="${this.#options.realm}"`));
  }
}

async function namesByDigest(keys: Options["keys"]): Promise<ReadonlyMap<string, string>> {
  const entries = Object.entries(keys).map(async ([name, text]): Promise<[string, string]> => {
    const digest = DIGEST.exec(text)?.[1]?.toLowerCase();
    return [digest ?? (await sha256Hex(text)), name];
  });
  return new Map(await Promise.all(entries));
}
