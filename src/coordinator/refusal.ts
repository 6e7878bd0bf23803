/** What the coordinator does not do, and why: thrown by its parts, answered by its API as a `CoordinatorProblem`. */
export class Refusal extends Error {
  /** A stable code, e.g. `token-used-up`. */
  readonly reason: string;

  /** `message` says to people what happened and what to do. */
  constructor(reason: string, message: string) {
    super(message);
    this.name = "Refusal";
    this.reason = reason;
  }
}
