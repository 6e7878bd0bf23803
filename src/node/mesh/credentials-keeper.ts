/** Who this node is: joined once with a token, and from then on renewed in time, by the certificate that still holds. */
import { joiningService } from "../../coordinator-client/token-claims.ts";
import { identityText, parseIdentity } from "../../identity.ts";
import type { Certificates, Clock, Random } from "../../machine.ts";
import type { Credentials, JoinRequest, RenewalRequest } from "../../mesh.ts";
import type { Log } from "../../types.ts";
import { Backoff } from "./backoff.ts";
import { CoordinatorFault, faultText } from "./coordinator.ts";
import type { NodeState, OwnCredentials } from "./node-state.ts";

/** A new key, which never leaves the node, and what asks for a certificate of it (PKCS#10); both PEM. */
export interface KeyRequest {
  readonly key: string;
  readonly request: string;
}

export interface CredentialsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly service: string;
  readonly state: Pick<NodeState, "credentials" | "keepCredentials">;
  readonly certificates: Certificates;
  makeKey(): Promise<KeyRequest>;
  join(request: JoinRequest): Promise<Credentials>;
  renew(request: RenewalRequest, own: OwnCredentials): Promise<Credentials>;
  /** The next certificate is there. */
  renewed(): void;
}

/** Where a node without credentials gets a token from; null when there is none. Rejects when it cannot be read. */
export type FindToken = () => Promise<string | null>;

/** Of a certificate's life: it is renewed somewhere between. */
const renewalShare = { from: 0.35, to: 0.48 };
/** Less of it left is said as an error, not as a warning. */
const urgentShare = 0.25;
/** Looked at the clock of the wall that often: a machine that slept, or whose clock was set, has no other time. */
const lookEveryMs = 1_000;
const retryMs = { first: 1_000, max: 60_000 };
const joinRetryMs = { first: 250, max: 5_000 };
const sayEveryMs = 600_000;

/** A node that cannot be what it is to be; the message says what to do. */
export class NoCredentials extends Error {
  override readonly name = "NoCredentials";
}

export class CredentialsKeeper {
  readonly #parts: CredentialsParts;
  readonly #backoff: Backoff;
  #own: OwnCredentials | null = null;
  #renewAtEpochMs = 0;
  #nextTryAtMs = 0;
  #trying = false;
  #closed = false;
  #problem: string | null = null;
  #saidAtMs = -Infinity;
  #stopLooking: () => void = () => {};

  constructor(parts: CredentialsParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.random, retryMs.first, retryMs.max);
  }

  get own(): OwnCredentials {
    if (this.#own === null) throw new Error("the node has not joined yet");
    return this.#own;
  }

  /** Null while all is well. */
  warning(): string | null {
    if (this.#own === null || this.#problem === null) return null;
    return `${this.#endText()}; renewing it fails: ${this.#problem}`;
  }

  /**
   * From the state folder when they still hold, else by joining, which is tried again as long as the coordinator says
   * nothing; `isOver` ends that. Throws NoCredentials, or a CoordinatorFault that no second try helps against. A token of
   * another service is not sent, and stays unused.
   */
  async obtain(findToken: FindToken, isOver: () => boolean): Promise<void> {
    const { clock, state, service } = this.#parts;
    const kept = await state.credentials();
    if (kept !== null && parseIdentity(kept.identity)?.service !== service) {
      throw new NoCredentials(`its certificate is that of ${kept.identity}, not of ${service}`);
    }
    if (kept !== null && kept.expiresEpochMs > clock.epochMs()) this.#hold(kept);
    else await this.#join(findToken, kept, isOver);
  }

  /** Renews from now on. */
  start(): void {
    this.#stopLooking = this.#parts.clock.every(lookEveryMs, () => void this.#look());
  }

  close(): void {
    this.#closed = true;
    this.#stopLooking();
  }

  async #join(findToken: FindToken, kept: OwnCredentials | null, isOver: () => boolean): Promise<void> {
    const { clock, random, log, state, service, join, makeKey } = this.#parts;
    const token = await findToken();
    const ended =
      kept === null ? "" : `the certificate kept there ended at ${timeText(kept.expiresEpochMs)}; `;
    const create = `with \`clearway token create --service ${service}\``;
    if (token === null) {
      throw new NoCredentials(
        `${ended}it needs a join token: make one ${create}, and give it in CLEARWAY_JOIN_TOKEN or with --token-file`,
      );
    }
    const refused = (why: string) => new NoCredentials(`${ended}${why}; make another one ${create}`);
    const named = joiningService(token);
    // The coordinator would count it as used.
    if (named !== null && named !== service)
      throw refused(`the join token is for ${JSON.stringify(named)}, not for ${service}`);
    const backoff = new Backoff(random, joinRetryMs.first, joinRetryMs.max);
    // The same each time: where only the answer was lost, the token's use was counted for this key.
    const { key, request } = await makeKey();
    let said = "";
    while (!isOver()) {
      try {
        const own = this.#checked(await join({ token, request }), key);
        await state.keepCredentials(own);
        this.#hold(own);
        return;
      } catch (error) {
        if (!(error instanceof CoordinatorFault)) throw error;
        if (error.again !== "later") throw error.reason.startsWith("token-") ? refused(error.message) : error;
        if (error.message !== said)
          log.warn("joining the mesh fails, and is tried again", { problem: error.message });
        said = error.message;
        await new Promise<void>((resolve) => clock.after(backoff.nextMs(), resolve));
      }
    }
  }

  #hold(own: OwnCredentials): void {
    const { from, to } = renewalShare;
    const share = from + (to - from) * this.#parts.random.fraction();
    this.#own = own;
    this.#renewAtEpochMs = own.obtainedEpochMs + share * lifeMs(own);
    this.#problem = null;
    this.#saidAtMs = -Infinity;
    this.#backoff.succeeded();
  }

  async #look(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#trying || clock.epochMs() < this.#renewAtEpochMs || clock.now() < this.#nextTryAtMs) return;
    this.#trying = true;
    try {
      await this.#renew();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#trying = false;
    }
  }

  async #renew(): Promise<void> {
    const { clock, log, state, makeKey, renew, renewed } = this.#parts;
    const { key, request } = await makeKey();
    const own = this.#checked(await renew({ request }, this.own), key);
    // Another process may have the folder by now; the certificate there holds as long as before.
    if (this.#closed) return;
    const before = this.#problem;
    this.#hold(own);
    renewed();
    const endsAt = timeText(own.expiresEpochMs);
    if (before === null) log.debug("the certificate of this node is renewed", { endsAt });
    else log.info("the certificate of this node is renewed again", { endsAt });
    try {
      await state.keepCredentials(own);
    } catch (error) {
      const problem = faultText(error);
      log.error("the renewed certificate cannot be kept: a restart would need a join token", { problem });
    }
    // However short the next one's life is.
    this.#nextTryAtMs = clock.now() + lookEveryMs;
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#parts;
    const { expiresEpochMs, identity } = this.own;
    const leftMs = expiresEpochMs - clock.epochMs();
    const wholeMs = lifeMs(this.own);
    this.#problem = faultText(error);
    // Short lives have short waits.
    this.#nextTryAtMs = clock.now() + Math.min(this.#backoff.nextMs(), Math.max(lookEveryMs, leftMs / 10));
    if (clock.now() - this.#saidAtMs < Math.min(sayEveryMs, wholeMs / 10)) return;
    this.#saidAtMs = clock.now();
    const fields = { identity, endsAt: timeText(expiresEpochMs), problem: this.#problem };
    if (leftMs > urgentShare * wholeMs)
      log.warn("the certificate of this node could not be renewed yet", fields);
    else log.error(`${this.#endText()}, and could not be renewed`, fields);
  }

  #endText(): string {
    const leftMs = this.own.expiresEpochMs - this.#parts.clock.epochMs();
    const at = timeText(this.own.expiresEpochMs);
    if (leftMs <= 0) {
      return `the certificate of this node ended at ${at}: nobody in the mesh believes it until it is started anew with a join token`;
    }
    return `the certificate of this node ends at ${at} (in ${Math.ceil(leftMs / 60_000)} min)`;
  }

  /** What a coordinator gives is looked at before anybody else would refuse it. */
  #checked(given: Credentials, key: string): OwnCredentials {
    const { certificates, clock, service } = this.#parts;
    const wrong = (why: string) =>
      new CoordinatorFault(
        "unknown",
        `the coordinator gave a certificate that is none for this node: ${why}`,
        "never",
      );
    const { trustDomain, certificate, roots } = given;
    const identity = identityText({ trustDomain, service });
    if (given.identity !== identity) throw wrong(`it is for ${given.identity}, wanted ${identity}`);
    try {
      const { uris } = certificates.vouchedFor(certificate, roots);
      if (uris.length !== 1 || uris[0] !== identity) {
        throw new Error(`it names ${uris.join(", ") || "nobody"}, wanted ${identity}`);
      }
      if (certificates.owner(certificate, key) !== 0) throw new Error("it is for another key");
      const [leaf] = certificates.read(certificate);
      const { startsEpochMs, expiresEpochMs } = leaf!;
      const obtainedEpochMs = clock.epochMs();
      if (expiresEpochMs <= obtainedEpochMs) {
        throw new Error(`it ended at ${timeText(expiresEpochMs)} by the clock of this machine`);
      }
      return { ...given, startsEpochMs, expiresEpochMs, key, obtainedEpochMs };
    } catch (error) {
      throw wrong(faultText(error));
    }
  }
}

function lifeMs({ obtainedEpochMs, expiresEpochMs }: OwnCredentials): number {
  return expiresEpochMs - obtainedEpochMs;
}

function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
