/** Downstream. Finds the caller's language, for filters further inside (`c.get("language")`), and remembers it. */
import { languageDetector } from "hono/language";
import { z } from "../../plugin.ts";
import { factoryFilter, oneArgument } from "../factory.ts";

const cookieOptions = z.strictObject({
  domain: z.string().exactOptional(),
  path: z.string().exactOptional(),
  sameSite: z.enum(["Strict", "Lax", "None"]).exactOptional(),
  secure: z.boolean().exactOptional(),
  maxAge: z.number().exactOptional(),
  httpOnly: z.boolean().exactOptional(),
});

const options = z.strictObject({
  supportedLanguages: z.array(z.string()).describe("languages to choose from; en").exactOptional(),
  fallbackLanguage: z.string().describe("the one when none fits; en").exactOptional(),
  order: z
    .array(z.enum(["querystring", "cookie", "header", "path"]))
    .describe("where to look, in this order; querystring, cookie, header")
    .exactOptional(),
  lookupQueryString: z.string().describe("the field of the query; lang").exactOptional(),
  lookupCookie: z.string().describe("the cookie; language").exactOptional(),
  lookupFromHeaderKey: z.string().describe("the header field; accept-language").exactOptional(),
  lookupFromPathIndex: z.int().describe("which part of the path, from 0; 0").exactOptional(),
  caches: z
    .union([z.array(z.enum(["cookie"])), z.literal(false)])
    .describe("where a language that was found is remembered; cookie")
    .exactOptional(),
  cookieOptions: cookieOptions.describe("how that cookie is set").exactOptional(),
  ignoreCase: z.boolean().describe("whether EN is en; true").exactOptional(),
  debug: z.boolean().describe("whether it says on stdout what it found; false").exactOptional(),
});

export default factoryFilter({
  name: "hono/language",
  summary: "Finds the caller's language and remembers it in a cookie",
  options: oneArgument(options),
  factory: languageDetector,
});
