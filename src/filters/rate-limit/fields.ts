/**
 * RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10: lists (RFC 9651, section 3.1), so that
 * each limit that a request met adds its member.
 */
import type { Taken } from "../../plugin.ts";

export interface Policy {
  /** Of the limit, as both fields name it. */
  readonly name: string;
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
}

export class LimitFields {
  readonly #name: string;
  readonly #policy: string;

  constructor({ name, requests, perMs, burst }: Policy) {
    // RFC 9651, section 3.3.3; other letters than those of ASCII cannot stand there.
    this.#name = `"${name.replace(/[^ -~]/gu, "_").replace(/["\\]/g, "\\$&")}"`;
    // Windows are whole seconds (section 3.1.3 of the draft), and optional.
    const window = perMs % 1000 === 0 ? `;w=${perMs / 1000}` : "";
    const size = burst === requests ? "" : `;clearway-burst=${burst}`;
    this.#policy = `${this.#name};q=${requests}${window}${size}`;
  }

  /** Adds to an answer what is said of a request that took this. */
  toldIn(taken: Taken): (answer: Response) => void {
    return ({ headers }) => this.addTo(headers, taken);
  }

  addTo(headers: Headers, taken: Taken): void {
    headers.append("ratelimit-policy", this.#policy);
    headers.append("ratelimit", `${this.#name};r=${taken.remaining};t=${secondsOf(taken.resetMs)}`);
  }
}

/** Whole seconds; never before that time (RFC 9110, section 10.2.3). */
export function secondsOf(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
