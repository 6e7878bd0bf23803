/** What did not go well between a coordinator and who asked it. */
export class CoordinatorFault extends Error {
  override readonly name = "CoordinatorFault";

  constructor(
    /** The coordinator's own code, or `unreachable` where it said nothing, `unknown` where it is somebody else. */
    readonly reason: string,
    message: string,
    /** Whether the same may go well later. */
    readonly again: "later" | "never",
  ) {
    super(message);
  }
}

/** In words, whatever it is. */
export function faultText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
