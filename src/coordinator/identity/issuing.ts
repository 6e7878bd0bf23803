/** Who gets which certificate: a node for a join token, or for the certificate that it has. */
import type { Clock } from "../../machine.ts";
import type { Credentials, JoinRequest, RenewalRequest } from "../../mesh.ts";
import { Refusal } from "../refusal.ts";
import type { IssuedCertificate, Store } from "../store/store.ts";
import type { Authority } from "./authority.ts";
import type { CreatedToken, JoinTokenWish, Tokens } from "./tokens.ts";

export interface IssuingParts {
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly store: Store;
  readonly clock: Clock;
  readonly trustDomain: string;
  /** Whether the mesh document had this service, and has it no more. */
  isRemoved(service: string): boolean;
}

export interface ListedIdentity extends IssuedCertificate {
  /** It is refused everywhere, however long it still holds. */
  readonly removed: boolean;
}

export class Issuing {
  readonly #parts: IssuingParts;

  constructor(parts: IssuingParts) {
    this.#parts = parts;
  }

  /** PEM. */
  roots(): string {
    return this.#parts.authority.roots;
  }

  /**
   * What can be refused without the token is looked at before one use of it is counted. A node that did not hear the answer
   * asks again for the same key, which is the same use: a certificate helps only whoever has the key.
   */
  async join({ token, request, node }: JoinRequest): Promise<Credentials> {
    const { authority, tokens, trustDomain } = this.#parts;
    const grant = await tokens.checkJoin(token, trustDomain);
    const { service } = grant;
    this.#demandPresent(service);
    const accepted = await authority.accept(request);
    await tokens.use(grant, accepted.keyFingerprint);
    return authority.issue(accepted, { identity: { trustDomain, service }, node: node ?? null });
  }

  /** `service`: what the certificate proves that the node has now. */
  async renew(service: string, { request, node }: RenewalRequest): Promise<Credentials> {
    const { authority, trustDomain } = this.#parts;
    this.#demandPresent(service);
    const accepted = await authority.accept(request);
    return authority.issue(accepted, { identity: { trustDomain, service }, node: node ?? null });
  }

  async createToken(wish: Omit<JoinTokenWish, "trustDomain">): Promise<CreatedToken> {
    const { tokens, trustDomain } = this.#parts;
    this.#demandPresent(wish.service);
    return tokens.createJoin({ ...wish, trustDomain });
  }

  async identities(): Promise<ListedIdentity[]> {
    const { store, clock, isRemoved, trustDomain } = this.#parts;
    const prefix = `spiffe://${trustDomain}/`;
    return (await store.listIssuedCertificates(clock.epochMs())).map((issued) => ({
      ...issued,
      removed: isRemoved(issued.identity.slice(prefix.length)),
    }));
  }

  #demandPresent(service: string): void {
    if (!this.#parts.isRemoved(service)) return;
    throw new Refusal(
      "identity-removed",
      `the service "${service}" was removed from the mesh document: nobody can be it before it is there again`,
    );
  }
}
