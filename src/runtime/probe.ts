/**
 * Asks one endpoint whether it is well, over a connection of its own: the same code, certificates and limits as for
 * requests, so that what passes here would pass there.
 */

import type { Address, Clock, SocketError, Sockets, TlsTarget } from "../machine.ts";
import type { HealthCheckConfig, MessageLimits, ServiceConfig } from "../snapshot.ts";
import type { BodySink, Failure } from "../types.ts";
import { Deadlines } from "./deadlines.ts";
import { addressText } from "./endpoint.ts";
import type { CallOwner, ConnectionKeeper } from "./http1/call-owner.ts";
import type { Head } from "./http1/head.ts";
import { UpstreamConnection } from "./http1/upstream.ts";
import { ServiceTargets } from "./tls/service-targets.ts";
import { flushWires } from "./wire.ts";

export interface ProbeParts {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly programVersion: string;
}

/** Null when the endpoint is well, else why it is not, in words. Never rejects. */
export type Probe = (service: CheckedService, address: Address) => Promise<string | null>;

export interface CheckedService extends ServiceConfig {
  readonly healthCheck: HealthCheckConfig;
}

/** The answer's body is read to its end when it is no longer, so that the service sees an orderly end. */
const BODY_BYTES_MAX = 64 * 1024;

/** Where nobody's own words are needed. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ETIMEDOUT: "no connection in time",
  EHOSTUNREACH: "no route to its host",
  ENETUNREACH: "no route to its network",
  ENOENT: "there is no such socket file",
  ENOTFOUND: "its name has no address",
};

export function createProbe(parts: ProbeParts): Probe {
  const deadlines = new Deadlines(parts.clock);
  const targets = new WeakMap<ServiceConfig, ServiceTargets>();
  const targetsOf = (service: CheckedService): ServiceTargets | null => {
    const { tls } = service;
    if (tls === null) return null;
    const made = targets.get(service) ?? new ServiceTargets({ ...service, tls }, parts.sockets);
    targets.set(service, made);
    return made;
  };
  return async (service, address) => {
    try {
      const tls = targetsOf(service)?.to(address) ?? null;
      const check = new Check({ parts, deadlines, service, address });
      check.start(tls);
      return await check.outcome;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

interface CheckSetting {
  readonly parts: ProbeParts;
  readonly deadlines: Deadlines;
  readonly service: CheckedService;
  readonly address: Address;
}

class Check implements ConnectionKeeper<UpstreamConnection>, CallOwner, BodySink {
  readonly method = "GET";
  readonly limits: MessageLimits;
  readonly idleTimeoutMs = 0;
  readonly deadlines: Deadlines;
  readonly outcome: Promise<string | null>;
  readonly #setting: CheckSetting;
  readonly #connection: UpstreamConnection;
  /** What was settled before stays. */
  readonly #settle: (outcome: string | null) => void;
  readonly #cancelTimer: () => void;
  #bodyBytes = 0;
  #late = false;

  constructor(setting: CheckSetting) {
    const { parts, deadlines, service } = setting;
    const { timeoutMs } = service.healthCheck;
    this.#setting = setting;
    this.limits = service.messageLimits;
    this.deadlines = deadlines;
    this.#connection = new UpstreamConnection(this);
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.outcome = promise;
    this.#settle = resolve;
    this.#cancelTimer = parts.clock.after(timeoutMs, () => this.#timeOut());
  }

  start(tls: TlsTarget | null): void {
    const { parts, deadlines, service, address } = this.#setting;
    const { timeouts, healthCheck } = service;
    deadlines.touch();
    const connectTimeoutMs = Math.min(timeouts.connectMs, healthCheck.timeoutMs);
    this.#connection.open(parts.sockets, { address, tls, connectTimeoutMs });
  }

  #timeOut(): void {
    this.#settle(`no answer in ${this.#setting.service.healthCheck.timeoutMs} ms`);
    this.#late = true;
    // One that is being made is given up by its own deadline, which is the same one.
    if (this.#connection.state !== "connecting") this.#connection.abort();
  }

  connected(connection: UpstreamConnection): void {
    const { parts, service, address } = this.#setting;
    const { path, host } = service.healthCheck;
    if (path === null || this.#late) {
      this.#settle(null);
      connection.retire();
      return;
    }
    const authority = host ?? ("unixPath" in address ? "localhost" : addressText(address));
    connection.begin(this, "none");
    connection.wire.writeText(
      `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: clearway-health-check/${parts.programVersion}\r\n` +
        "Accept: */*\r\nConnection: close\r\n\r\n",
    );
    flushWires();
  }

  connectFailed(_connection: UpstreamConnection, { code, message }: SocketError): void {
    this.#cancelTimer();
    this.#settle(reasons[code] ?? message);
  }

  idle(connection: UpstreamConnection): void {
    connection.retire();
  }

  closed(): void {
    this.#cancelTimer();
  }

  onInformational(): void {}

  onHead({ status }: Head): void {
    this.#settle(status >= 200 && status < 400 ? null : `it answered ${status}`);
    this.#connection.pipe(this);
  }

  onUpgraded(): void {
    this.#settle("it switched protocols unasked");
    this.#connection.abort();
  }

  onFailure({ message }: Failure): void {
    this.#settle(message);
  }

  data(_bytes: Buffer, start: number, end: number): void {
    this.#bodyBytes += end - start;
    if (this.#bodyBytes > BODY_BYTES_MAX) this.#connection.abort();
  }

  end(): void {}

  fail(): void {}
}
