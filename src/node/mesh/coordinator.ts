/** A node's coordinator, as the rest of the node sees it. Who it is was proved before anything is said to it. */
import type {
  Credentials,
  FeedMessage,
  FeedRequest,
  JoinRequest,
  LeaseAnswer,
  LeaseRequest,
  RenewalRequest,
} from "../../mesh.ts";
import type { OwnCredentials } from "./node-state.ts";

/** Every call rejects with a CoordinatorFault. */
export interface Coordinator {
  join(request: JoinRequest): Promise<Credentials>;
  renew(request: RenewalRequest, own: OwnCredentials): Promise<Credentials>;
  lease(request: LeaseRequest, own: OwnCredentials): Promise<LeaseAnswer>;
  feed(request: FeedRequest, own: OwnCredentials): Promise<OpenFeed>;
}

export interface OpenFeed {
  /** Ends, or throws a CoordinatorFault, when there will be no more. */
  readonly messages: AsyncIterable<FeedMessage>;
  close(): void;
}

export class CoordinatorFault extends Error {
  override readonly name = "CoordinatorFault";

  constructor(
    /** The coordinator's own code, or `unreachable` where it said nothing, `unknown` where it is somebody else. */
    readonly reason: string,
    message: string,
    /** Whether the same may go well later. */
    readonly again: "later" | "never",
  ) {
    super(message);
  }
}

/** In words, whatever it is. */
export function faultText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
