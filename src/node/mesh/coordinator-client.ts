/** Talks to a coordinator over HTTPS, after it proved to be the mesh's own: by the root that the join token names. */
import type { Clock, SecureFetch } from "../../machine.ts";
import type {
  CoordinatorProblem,
  Credentials,
  FeedMessage,
  FeedRequest,
  JoinRequest,
  LeaseAnswer,
  LeaseRequest,
  RenewalRequest,
} from "../../mesh.ts";
import { type Coordinator, CoordinatorFault, faultText, type OpenFeed } from "./coordinator.ts";
import { readLines } from "./json-lines.ts";
import type { OwnCredentials } from "./node-state.ts";
import { fingerprints, rootFingerprint } from "./root-fingerprint.ts";

export interface ClientParts {
  readonly clock: Clock;
  readonly fetch: SecureFetch;
}

/** What the coordinator's certificate names, wherever it runs. */
const coordinatorHost = "coordinator.mesh";
export const coordinatorPort = 9443;
const urlsMax = 16;
/** Until the whole answer; a feed has it until its head. */
const answerMs = 5_000;
const answerBytesMax = 1024 * 1024;

interface Asking {
  readonly path: string;
  /** Null for GET. */
  readonly body: object | null;
  /** PEM; null believes whoever answers. */
  readonly ca: string | null;
  readonly own: OwnCredentials | null;
}

/** `HOST:PORT` or `https://HOST:PORT`, several with commas between. Throws an Error that quotes what is wrong. */
export function readCoordinatorUrls(text: string): readonly string[] {
  const urls = text.split(",").map((part) => readUrl(part.trim()));
  if (urls.length > urlsMax) throw new Error(`${urls.length} coordinators: wanted at most ${urlsMax}`);
  return urls;
}

function readUrl(text: string): string {
  const whole = text.includes("://") ? text : `https://${text}`;
  const wanted = `wanted https://HOST:PORT, such as https://10.0.0.1:${coordinatorPort}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null || url.protocol !== "https:" || url.hostname === "" || url.pathname !== "/") {
    throw new Error(`cannot read ${JSON.stringify(text)} as a coordinator: ${wanted}`);
  }
  return url.origin;
}

export class CoordinatorClient implements Coordinator {
  readonly #parts: ClientParts;
  readonly #urls: readonly string[];
  /** Of the one that answered last. */
  #index = 0;

  constructor(parts: ClientParts, urls: readonly string[]) {
    this.#parts = parts;
    this.#urls = urls;
  }

  async join(request: JoinRequest): Promise<Credentials> {
    const wanted = rootFingerprint(request.token);
    if (wanted === null) {
      const message =
        "this is no join token of a coordinator: `clearway token create` prints one on its last line";
      throw new CoordinatorFault("token-invalid", message, "never");
    }
    return this.#each(async (url) => {
      const root = await this.#pinnedRoot(url, wanted);
      return this.#call<Credentials>(url, { path: "/v1/join", body: request, ca: root, own: null });
    });
  }

  renew(request: RenewalRequest, own: OwnCredentials): Promise<Credentials> {
    return this.#ask("/v1/certificate", request, own);
  }

  lease(request: LeaseRequest, own: OwnCredentials): Promise<LeaseAnswer> {
    return this.#ask("/v1/leases", request, own);
  }

  feed(request: FeedRequest, own: OwnCredentials): Promise<OpenFeed> {
    return this.#each(async (url) => {
      const leaving = new AbortController();
      const asking = { path: "/v1/feed", body: request, ca: own.roots, own };
      const response = await this.#answered(url, asking, leaving);
      return {
        messages: readLines<FeedMessage>(response, (error) => unreachable(url, error)),
        close: () => leaving.abort(),
      };
    });
  }

  #ask<Answer>(path: string, body: object, own: OwnCredentials): Promise<Answer> {
    return this.#each((url) => this.#call<Answer>(url, { path, body, ca: own.roots, own }));
  }

  /** Each of them, from the one that answered last, until one does. */
  async #each<Answer>(ask: (url: string) => Promise<Answer>): Promise<Answer> {
    let first: unknown = null;
    for (let tries = 0; tries < this.#urls.length; tries++) {
      const index = (this.#index + tries) % this.#urls.length;
      try {
        const answer = await ask(this.#urls[index]!);
        this.#index = index;
        return answer;
      } catch (error) {
        if (error instanceof CoordinatorFault && error.again === "never") throw error;
        first ??= error;
      }
    }
    throw first;
  }

  /** Who is there says which root is its own; nothing secret is said before that is the one that is meant. */
  async #pinnedRoot(url: string, wanted: string): Promise<string> {
    const asking = { path: "/v1/root", body: null, ca: null, own: null };
    const { roots } = await this.#call<{ readonly roots: string }>(url, asking);
    const found = (await fingerprints(String(roots))).find(({ fingerprint }) => fingerprint === wanted);
    if (found !== undefined) return found.certificate;
    const message = `${url} is not the coordinator that this token is for: its root certificate is another one`;
    throw new CoordinatorFault("unknown", message, "later");
  }

  async #call<Answer>(url: string, asking: Asking): Promise<Answer> {
    const leaving = new AbortController();
    const cancel = this.#parts.clock.after(answerMs, () => leaving.abort());
    try {
      const response = await this.#answered(url, asking, leaving);
      return JSON.parse(await boundedText(response)) as Answer;
    } catch (error) {
      throw error instanceof CoordinatorFault ? error : unreachable(url, error, leaving.signal);
    } finally {
      cancel();
    }
  }

  /** An answer of 2xx. */
  async #answered(url: string, asking: Asking, leaving: AbortController): Promise<Response> {
    const { path, body, ca, own } = asking;
    const { clock, fetch } = this.#parts;
    const cancel = clock.after(answerMs, () => leaving.abort());
    const init = body === null ? {} : { method: "POST", body: JSON.stringify(body) };
    const headers = { "content-type": "application/json" };
    try {
      const response = await fetch(
        `${url}${path}`,
        { ...init, headers, signal: leaving.signal },
        { ca, serverName: coordinatorHost, own },
      );
      if (response.ok) return response;
      throw refusal(url, response.status, await boundedText(response));
    } catch (error) {
      throw error instanceof CoordinatorFault ? error : unreachable(url, error, leaving.signal);
    } finally {
      cancel();
    }
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error(`its answer has more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function refusal(url: string, status: number, text: string): CoordinatorFault {
  const again = status >= 500 || status === 429 ? "later" : "never";
  try {
    const { reason, message } = JSON.parse(text) as CoordinatorProblem;
    if (typeof reason === "string" && typeof message === "string")
      return new CoordinatorFault(reason, message, again);
  } catch {
    // Not a coordinator's words.
  }
  return new CoordinatorFault("unknown", `${url} answered ${status}, and not as a coordinator does`, "later");
}

const words: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  ConnectionClosed: "it closed the connection",
  ECONNRESET: "it closed the connection",
  FailedToOpenSocket: "there is no way to its host",
  ENOTFOUND: "its name has no address",
};

function unreachable(url: string, error: unknown, signal?: AbortSignal): CoordinatorFault {
  const { code = "" } = error as { readonly code?: string };
  const late = signal?.aborted === true;
  if (/CERT|ISSUER|SIGNED|CHAIN/.test(code)) {
    const message = `${url} is not a coordinator of this mesh: its certificate is not believed (${code})`;
    return new CoordinatorFault("unknown", message, "later");
  }
  const why = late ? `no answer in ${answerMs / 1000} s` : (words[code] ?? faultText(error));
  return new CoordinatorFault("unreachable", `cannot reach the coordinator at ${url}: ${why}`, "later");
}
