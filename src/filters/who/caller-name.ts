/** How a filter that knows a caller by name hands the name on. */
import { type Middleware, z } from "../../plugin.ts";
import { headerName } from "../header-name.ts";

type Context = Parameters<Middleware>[0];

export const callerNamePattern = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;
const wanted = "wanted a name of at most 63 letters, digits, dots, dashes, underscores and @";

/** Secrets by the names of those who have them. */
export function byCallerName(secret: z.ZodType<string, string>) {
  return z.record(z.string(), secret).superRefine((secrets, context) => {
    const names = Object.keys(secrets);
    if (names.length === 0)
      context.addIssue({ code: "custom", message: "wanted at least one name", input: secrets });
    for (const name of names) {
      if (callerNamePattern.test(name)) continue;
      context.addIssue({
        code: "custom",
        message: `cannot call a caller "${name}": ${wanted}`,
        path: [name],
      });
    }
  });
}

export const nameHeaderOption = headerName
  .describe("header that tells the service the caller's name; what callers send there is removed")
  .exactOptional();

/** For the service in the header, for later filters as `caller`. */
export function passName(c: Context, header: string | undefined, name: string): void {
  if (header !== undefined) c.req.raw.headers.set(header, name);
  c.set("caller", name);
}
