/** The cache in front of a service that a test plays, in virtual time, on the lightweight pair. */
import cache from "../../../src/filters/cache.ts";
import { installGlobals } from "../../../src/runtime/fetch/globals.ts";
import type { FilterParts } from "../../../src/runtime/live-filter.ts";
import { ManualBody, responseFrom } from "../../runtime/fetch/messages.ts";
import { type CallDraft, type Script, type Sent, upstreamChain } from "../sending/upstream-chain.ts";

installGlobals();

/** An answer as the codec gives it. */
export function answer(
  fields: readonly string[],
  { body = "hello", status = 200 }: { body?: string | ManualBody; status?: number } = {},
): Response {
  const source = typeof body === "string" ? new ManualBody([body], { lengthBytes: body.length }) : body;
  const bodiless = status === 304 || body === "";
  return responseFrom(fields, { status, reason: "Fine", body: bodiless ? null : source });
}

export interface Got {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
  /** What the service got for it: nothing when it was answered from the memory. */
  readonly sent: readonly Sent[];
  /** What `Cache-Status` says, without the name. */
  readonly said: string;
}

export interface CachedService {
  readonly chain: ReturnType<typeof upstreamChain>;
  /** One request, from its begin to its end. */
  get(script: Script, draft?: CallDraft): Promise<Got>;
  /** Milliseconds go by. */
  pass(milliseconds: number): void;
  counted(name: string): number;
}

export function cachedService(options: object = {}, given: Partial<FilterParts> = {}): CachedService {
  const chain = upstreamChain(cache, options, given);
  return {
    chain,
    async get(script, draft = {}) {
      const over = new AbortController();
      const { response, error, sent } = await chain.run(script, { signal: over.signal, ...draft });
      if (response === null) throw error;
      const got = { ...(await read(response)), sent };
      over.abort();
      await settled();
      return got;
    },
    pass: (milliseconds) => chain.parts.clock.advance(milliseconds),
    counted: (name) => chain.counted(name),
  };
}

export async function read(response: Response): Promise<Omit<Got, "sent">> {
  const { status, headers } = response;
  const said = (headers.get("cache-status") ?? "").replace("clearway; ", "");
  return { status, headers, said, body: await response.text() };
}

/** What is under way in the background goes on as far as it can without time passing. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await null;
}

/** A service that must not be asked. */
export const silent: Script = () => {
  throw new Error("the service was asked");
};
