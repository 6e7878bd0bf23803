/** What did not go well between a coordinator and who asked it. */
export class CoordinatorFault extends Error {
  override readonly name = "CoordinatorFault";

  constructor(
    /**
     * The coordinator's own code, all about tokens begin with `token-`; or `unreachable` where it said nothing, `unknown` where
     * it is somebody else.
     */
    readonly reason: string,
    message: string,
    /** Whether the same may go well later, with another coordinator alone, or never. */
    readonly again: "later" | "elsewhere" | "never",
  ) {
    super(message);
  }
}

/** In words, whatever it is. */
export function faultText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
