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

export { CoordinatorFault, faultText } from "../../coordinator-client/coordinator-fault.ts";

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
