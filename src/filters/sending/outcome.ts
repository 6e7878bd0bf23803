/** What came of one sending, as filters that send again look at it. */
import type { Failure } from "../../plugin.ts";

/** A failure has no answer; anything else that is thrown is not the service's. */
export type Outcome =
  | { readonly response: Response; readonly failure: null }
  | { readonly response: null; readonly failure: Failure };

/** Rejects with what is no failure of a message. */
export async function outcomeOf(sending: Promise<Response>): Promise<Outcome> {
  try {
    return { response: await sending, failure: null };
  } catch (error) {
    return failedOutcome(error);
  }
}

/** That of a sending that rejected; throws what is no failure of a message. */
export function failedOutcome(error: unknown): Outcome {
  if (isFailure(error)) return { response: null, failure: error };
  throw error;
}

/** The answer; or the failure, thrown. */
export function passedOn({ response, failure }: Outcome): Response {
  if (response !== null) return response;
  throw failure;
}

/** Nobody will read it: its connection is free for others. */
export function dropAnswer({ response }: Outcome): void {
  response?.body?.cancel().catch(() => {});
}

function isFailure(error: unknown): error is Failure {
  return error instanceof Error && "kind" in error && "retryable" in error;
}
