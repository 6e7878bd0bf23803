/** What the API stands in front of. Whatever does not do what it is asked throws a Refusal or a StoreFailure. */
import type { Clock } from "../../machine.ts";
import type {
  ApplyAnswer,
  ApplyRequest,
  Credentials,
  DocumentVersion,
  JoinRequest,
  RenewalRequest,
  RollbackRequest,
  VersionSummary,
} from "../../mesh.ts";
import type { Log } from "../../types.ts";
import type { Feed } from "../feed/feed.ts";
import type { Registry } from "../registry/registry.ts";
import type { CoordinatorMeters, CoordinatorReadings } from "./meters.ts";
import type { IdentitiesAnswer, TokenAnswer, TokenRequest } from "./wire.ts";

export interface ApiParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly trustDomain: string;
  readonly registry: Registry;
  readonly feed: Feed;
  readonly credentials: CredentialsSource;
  readonly operators: Operators;
  readonly documents: Documents;
  readonly meters: CoordinatorMeters;
  /** Whether certificates of this service are refused, however long they still hold. */
  isRemoved(service: string): boolean;
  readings(): CoordinatorReadings;
  /** What is wrong and does not keep the coordinator from serving, one line each. */
  warnings(): readonly string[];
}

export interface CredentialsSource {
  /** PEM. */
  roots(): string;
  join(request: JoinRequest): Promise<Credentials>;
  renew(service: string, request: RenewalRequest): Promise<Credentials>;
  createToken(request: TokenRequest): Promise<TokenAnswer>;
  identities(): Promise<IdentitiesAnswer["identities"]>;
}

export interface Operators {
  /** Whom the token names. */
  check(token: string): Promise<string>;
  /** Makes every token void, and writes another one for the operator where the coordinator runs. */
  rotate(): Promise<void>;
}

export interface Documents {
  /** "try" changes nothing. */
  apply(request: ApplyRequest, by: string, how: "try" | "apply"): Promise<ApplyAnswer>;
  rollback(request: RollbackRequest, by: string): Promise<ApplyAnswer>;
  /** The current one for null. */
  read(version: number | null): Promise<DocumentVersion>;
  list(): Promise<readonly VersionSummary[]>;
}
