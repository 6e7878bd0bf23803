/** HTTPS to a mesh's coordinators, of which each has to prove that it is one of them before it hears anything secret. */
import type { Clock, RequestTls, SecureFetch } from "../machine.ts";
import type { CoordinatorProblem } from "../mesh.ts";
import { CoordinatorFault, faultText } from "./coordinator-fault.ts";
import { fingerprints } from "./root-fingerprint.ts";

export interface ConnectionParts {
  readonly clock: Clock;
  readonly fetch: SecureFetch;
}

export interface Asking {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  /** Null for none. */
  readonly body: object | null;
  /** PEM: who vouches for the coordinator. */
  readonly ca: string;
  /** What is shown: a certificate, an operator's token, or nothing. */
  readonly own: RequestTls["own"];
  readonly token: string | null;
}

export interface AnswerLimits {
  /** Until the whole answer; a stream has it until its head. */
  readonly answerMs: number;
  readonly answerBytesMax: number;
}

/** What the coordinator's certificate names, wherever it runs. */
const coordinatorHost = "coordinator.mesh";

export class CoordinatorConnection {
  readonly #parts: ConnectionParts;
  readonly #urls: readonly string[];
  readonly #limits: AnswerLimits;
  /** Of the one that answered last. */
  #index = 0;

  constructor(parts: ConnectionParts, urls: readonly string[], limits: AnswerLimits) {
    this.#parts = parts;
    this.#urls = urls;
    this.#limits = limits;
  }

  /**
   * Each of them, from the one that answered last, until one does. Where none does, what may go well later is said before
   * what will not.
   */
  async each<Answer>(ask: (url: string) => Promise<Answer>): Promise<Answer> {
    const faults: unknown[] = [];
    for (let tries = 0; tries < this.#urls.length; tries++) {
      const index = (this.#index + tries) % this.#urls.length;
      try {
        const answer = await ask(this.#urls[index]!);
        this.#index = index;
        return answer;
      } catch (error) {
        if (error instanceof CoordinatorFault && error.again === "never") throw error;
        faults.push(error);
      }
    }
    const isElsewhere = (error: unknown) => error instanceof CoordinatorFault && error.again === "elsewhere";
    throw faults.find((error) => !isElsewhere(error)) ?? faults[0];
  }

  /** Who is there says which root is its own; PEM of the one that is meant. */
  async pinnedRoot(url: string, wantedFingerprint: string): Promise<string> {
    const asking = { method: "GET", path: "/v1/root", body: null, own: null, token: null } as const;
    const { roots } = await this.#call<{ readonly roots?: unknown }>(url, { ...asking, ca: null });
    if (typeof roots !== "string") throw strange(url, "without a root certificate");
    const found = (await fingerprints(roots)).find(({ fingerprint }) => fingerprint === wantedFingerprint);
    if (found !== undefined) return found.certificate;
    const message = `${url} is not the coordinator that this token is for: its root certificate is another one`;
    throw new CoordinatorFault("token-foreign", message, "elsewhere");
  }

  call<Answer>(url: string, asking: Asking): Promise<Answer> {
    return this.#call<Answer>(url, asking);
  }

  /** An answer that does not end by itself; `leave` ends it, `broken` says what it means that it broke. */
  async stream(url: string, asking: Asking): Promise<OpenStream> {
    const leaving = new AbortController();
    const response = await this.#answered(url, asking, leaving);
    return { response, leave: () => leaving.abort(), broken: (error) => this.#unreachable(url, error) };
  }

  async #call<Answer>(url: string, asking: Omit<Asking, "ca"> & { ca: string | null }): Promise<Answer> {
    const leaving = new AbortController();
    const cancel = this.#parts.clock.after(this.#limits.answerMs, () => leaving.abort());
    try {
      const response = await this.#answered(url, asking, leaving);
      return answerIn<Answer>(url, await boundedText(response, this.#limits.answerBytesMax));
    } catch (error) {
      throw error instanceof CoordinatorFault ? error : this.#unreachable(url, error, leaving.signal);
    } finally {
      cancel();
    }
  }

  /** An answer of 2xx. */
  async #answered(
    url: string,
    asking: Omit<Asking, "ca"> & { ca: string | null },
    leaving: AbortController,
  ): Promise<Response> {
    const { method, path, body, ca, own, token } = asking;
    const { clock, fetch } = this.#parts;
    const { answerMs, answerBytesMax } = this.#limits;
    const cancel = clock.after(answerMs, () => leaving.abort());
    const init = body === null ? { method } : { method, body: JSON.stringify(body) };
    const headers = {
      "content-type": "application/json",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    try {
      const response = await fetch(
        `${url}${path}`,
        { ...init, headers, signal: leaving.signal },
        { ca, serverName: coordinatorHost, own },
      );
      if (response.ok) return response;
      const text = await boundedText(response, answerBytesMax);
      // Whoever it is proved nothing yet: its words are nobody's.
      throw ca === null ? strange(url, `with ${response.status}`) : refusal(url, response.status, text);
    } catch (error) {
      throw error instanceof CoordinatorFault ? error : this.#unreachable(url, error, leaving.signal);
    } finally {
      cancel();
    }
  }

  #unreachable(url: string, error: unknown, signal?: AbortSignal): CoordinatorFault {
    const { code = "" } = error as { readonly code?: string };
    if (/CERT|ISSUER|SIGNED|CHAIN|VERIFY/.test(code)) {
      const message = `${url} is not a coordinator of this mesh: its certificate is not believed (${code})`;
      return new CoordinatorFault("unknown", message, "later");
    }
    const late = signal?.aborted === true;
    const why = late ? `no answer in ${this.#limits.answerMs / 1000} s` : (words[code] ?? faultText(error));
    return new CoordinatorFault("unreachable", `cannot reach the coordinator at ${url}: ${why}`, "later");
  }
}

export interface OpenStream {
  readonly response: Response;
  leave(): void;
  broken(error: unknown): CoordinatorFault;
}

async function boundedText(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`its answer has more than ${bytesMax} bytes`);
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
  return strange(url, `with ${status}`);
}

function answerIn<Answer>(url: string, text: string): Answer {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw strange(url, "with what is no JSON");
  }
}

function strange(url: string, how: string): CoordinatorFault {
  return new CoordinatorFault("unknown", `${url} answers ${how}, and not as a coordinator does`, "later");
}

const words: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  ConnectionClosed: "it closed the connection",
  ECONNRESET: "it closed the connection",
  FailedToOpenSocket: "there is no way to its host",
  ENETUNREACH: "there is no way to its host",
  EHOSTUNREACH: "there is no way to its host",
  ENOTFOUND: "its name has no address",
  EAI_AGAIN: "its name cannot be looked up now",
  EPROTO: "what answers there speaks no TLS",
};
