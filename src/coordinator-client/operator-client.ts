/** Asks a coordinator what only its operators may. */
import { type AnswerLimits, type ConnectionParts, CoordinatorConnection } from "./coordinator-connection.ts";
import { CoordinatorFault } from "./coordinator-fault.ts";
import { rootFingerprint } from "./token-claims.ts";

/** A mesh document has the code of its plugins in it, and is checked before the answer comes. */
const limits: AnswerLimits = { answerMs: 30_000, answerBytesMax: 64 * 1024 * 1024 };

export class OperatorClient {
  readonly #connection: CoordinatorConnection;
  readonly #token: string;
  /** By URL the root that was found there. */
  readonly #roots = new Map<string, Promise<string>>();

  constructor(
    parts: ConnectionParts,
    { urls, token }: { readonly urls: readonly string[]; readonly token: string },
  ) {
    this.#connection = new CoordinatorConnection(parts, urls, limits);
    this.#token = token;
  }

  /** Every call rejects with a CoordinatorFault. */
  get<Answer>(path: string): Promise<Answer> {
    return this.#ask("GET", path, null);
  }

  post<Answer>(path: string, body: object): Promise<Answer> {
    return this.#ask("POST", path, body);
  }

  put<Answer>(path: string, body: object): Promise<Answer> {
    return this.#ask("PUT", path, body);
  }

  async #ask<Answer>(method: "GET" | "POST" | "PUT", path: string, body: object | null): Promise<Answer> {
    const wanted = rootFingerprint(this.#token);
    if (wanted === null) {
      const message = "this is no operator's token; it may have been cut when it was copied";
      throw new CoordinatorFault("token-malformed", message, "never");
    }
    return this.#connection.each(async (url) => {
      const ca = await this.#pinned(url, wanted);
      return this.#connection.call<Answer>(url, { method, path, body, ca, own: null, token: this.#token });
    });
  }

  async #pinned(url: string, wanted: string): Promise<string> {
    const found = this.#roots.get(url) ?? this.#connection.pinnedRoot(url, wanted);
    this.#roots.set(url, found);
    try {
      return await found;
    } catch (error) {
      this.#roots.delete(url);
      throw error;
    }
  }
}
