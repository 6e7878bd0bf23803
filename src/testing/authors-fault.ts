/**
 * For what is wrong with what an author wrote: an Error that points to the line which called `entry`, and not into the
 * program. Asked for before anything is awaited; the function that it returns throws.
 */
export function authorsFault(entry: (...given: never[]) => unknown): (message: string) => never {
  const fault = new Error();
  Error.captureStackTrace(fault, entry);
  return (message) => {
    fault.message = message;
    throw fault;
  };
}
