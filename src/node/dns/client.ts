/** Asks the servers in their order, until one of them answers. */
import type { ResolverConfig } from "../../snapshot.ts";
import { addressText } from "../addresses.ts";
import { Lanes } from "../lanes.ts";
import { type Answer, answerOf } from "./answer.ts";
import { type ExchangeParts, exchange, type NameServer } from "./exchange.ts";
import type { Question } from "./message.ts";
import type { SystemFiles } from "./system-files.ts";

/** Questions in flight, of the whole node. */
const QUESTIONS_MAX = 64;
/** Each server is asked as often as this. */
const ROUNDS = 2;

export class DnsClient {
  readonly #parts: ExchangeParts;
  readonly #system: SystemFiles;
  readonly #lanes = new Lanes(QUESTIONS_MAX);

  constructor(parts: ExchangeParts, system: SystemFiles) {
    this.#parts = parts;
    this.#system = system;
  }

  /** Those of the config, or without any those of this machine. */
  ask(question: Question, { servers, timeoutMs }: ResolverConfig): Promise<Answer> {
    return this.#lanes.run(async () => {
      const known = servers.length > 0 ? servers : (await this.#system.resolver()).servers;
      return this.#askAll(question, known, timeoutMs);
    });
  }

  async #askAll(question: Question, servers: readonly NameServer[], timeoutMs: number): Promise<Answer> {
    const reasons = new Map<NameServer, string>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of servers) {
        const exchanged = await exchange(this.#parts, question, { server, timeoutMs });
        const answer =
          "reply" in exchanged
            ? answerOf(exchanged.reply, question)
            : { kind: "failed" as const, why: exchanged.why };
        if (answer.kind !== "failed") return answer;
        reasons.set(server, answer.why);
      }
    }
    const why = [...reasons].map(([server, reason]) => `${addressText(server)} ${reason}`).join("; ");
    return { kind: "failed", why };
  }
}
