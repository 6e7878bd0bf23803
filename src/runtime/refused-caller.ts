/** A request of a caller who was let in once, and is not welcome any more. */
import type { Answer } from "./failures.ts";
import type { DownstreamConnection, RequestTaker } from "./http1/downstream.ts";
import type { RequestOwner } from "./http1/request-owner.ts";

export class RefusedCaller implements RequestOwner {
  readonly #taker: RequestTaker;
  readonly #connection: DownstreamConnection;
  readonly #answer: Answer;

  constructor(taker: RequestTaker, connection: DownstreamConnection, answer: Answer) {
    this.#taker = taker;
    this.#connection = connection;
    this.#answer = answer;
  }

  /** No filter sees it, and nothing is said to it twice. */
  start(): void {
    const connection = this.#connection;
    const answer = this.#answer;
    connection.answer.connection = "close";
    connection.answer.own(answer);
    this.#taker.refused(connection, answer);
  }

  giveUp(): void {}
  onAnswered(): void {}
  onBroken(): void {}
}
