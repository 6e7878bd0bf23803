/**
 * Downstream. Gives every request an id: the caller's, or a new one. The service gets it, the answer carries it, and
 * later filters find it as `requestId`. A caller's id that is longer than 128 characters, or has other characters than
 * letters, digits and `._~+/=-`, is replaced: it ends in logs and in other people's systems.
 */
import { defineFilter, z } from "../plugin.ts";

const ID = /^[A-Za-z0-9._~+/=-]{1,128}$/;
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

const options = z.strictObject({
  header: z
    .string()
    .regex(TOKEN, "wanted the name of a header such as x-request-id")
    .default("x-request-id")
    .describe("header that carries the id"),
  trust: z
    .enum(["caller", "nobody"])
    .default("caller")
    .describe("whose id is taken: the caller's, or nobody's, so that each request gets a new one"),
});

export default defineFilter({
  name: "request-id",
  summary: "Takes or makes a request id, passes it to the service and answers with it",
  options,
  middleware:
    ({ header, trust }, { random }) =>
    (c, next) => {
      const { headers } = c.req.raw;
      const given = trust === "caller" ? headers.get(header) : null;
      const taken = given !== null && ID.test(given);
      const id = taken ? given : random.id();
      if (!taken) headers.set(header, id);
      c.set("requestId", id);
      c.env.onAnswer(({ headers: answered }) => answered.set(header, id));
      return next();
    },
});
