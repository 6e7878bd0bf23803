import type { SourcePlace } from "../snapshot.ts";

/** Something in a snapshot that this worker cannot make live. */
export class CompileError extends Error {
  constructor(
    readonly place: SourcePlace,
    message: string,
  ) {
    super(message);
  }
}

/** What cannot be made is a problem at its place in the config. */
export function placed<Made>(config: { readonly place: SourcePlace }, make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    throw new CompileError(config.place, error instanceof Error ? error.message : String(error));
  }
}
