import type { Failure } from "../../types.ts";
import type { Answer } from "../failures.ts";

/** Who answers one request. */
export interface RequestOwner {
  start(): void;
  /** The caller left, or was sent away, before the answer was whole. */
  onBroken(failure: Failure): void;
  /** Nothing was answered yet, and no service will: the time is over, or the body is bad. */
  giveUp(answer: Answer): void;
  /** The answer's last byte was given to the connection. */
  onAnswered(): void;
}
