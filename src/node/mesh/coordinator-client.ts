/** Talks to a coordinator over HTTPS, after it proved to be the mesh's own: by the root that the join token names. */
import {
  type ConnectionParts,
  CoordinatorConnection,
} from "../../coordinator-client/coordinator-connection.ts";
import { readLines } from "../../coordinator-client/json-lines.ts";
import { rootFingerprint } from "../../coordinator-client/token-claims.ts";
import type {
  Credentials,
  FeedMessage,
  FeedRequest,
  JoinRequest,
  LeaseAnswer,
  LeaseRequest,
  RenewalRequest,
} from "../../mesh.ts";
import { type Coordinator, CoordinatorFault, type OpenFeed } from "./coordinator.ts";
import type { OwnCredentials } from "./node-state.ts";

const limits = { answerMs: 5_000, answerBytesMax: 1024 * 1024 };

export class CoordinatorClient implements Coordinator {
  readonly #connection: CoordinatorConnection;

  constructor(parts: ConnectionParts, urls: readonly string[]) {
    this.#connection = new CoordinatorConnection(parts, urls, limits);
  }

  async join(request: JoinRequest): Promise<Credentials> {
    const wanted = rootFingerprint(request.token);
    if (wanted === null) {
      const message = "this is no join token; it may have been cut when it was copied";
      throw new CoordinatorFault("token-invalid", message, "never");
    }
    return this.#connection.each(async (url) => {
      const ca = await this.#connection.pinnedRoot(url, wanted);
      return this.#connection.call<Credentials>(url, { ...posted("/v1/join", request), ca, own: null });
    });
  }

  renew(request: RenewalRequest, own: OwnCredentials): Promise<Credentials> {
    return this.#ask("/v1/certificate", request, own);
  }

  lease(request: LeaseRequest, own: OwnCredentials): Promise<LeaseAnswer> {
    return this.#ask("/v1/leases", request, own);
  }

  feed(request: FeedRequest, own: OwnCredentials): Promise<OpenFeed> {
    return this.#connection.each(async (url) => {
      const asking = { ...posted("/v1/feed", request), ca: own.roots, own };
      const { response, leave, broken } = await this.#connection.stream(url, asking);
      return { messages: readLines<FeedMessage>(response, broken), close: leave };
    });
  }

  #ask<Answer>(path: string, body: object, own: OwnCredentials): Promise<Answer> {
    const asking = { ...posted(path, body), ca: own.roots, own };
    return this.#connection.each((url) => this.#connection.call<Answer>(url, asking));
  }
}

function posted(path: string, body: object) {
  return { method: "POST", path, body, token: null } as const;
}
