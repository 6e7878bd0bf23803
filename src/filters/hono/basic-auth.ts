/** Downstream. Asks for a user and a password, and refuses with 401 whoever has none of those that it knows. */
import { basicAuth } from "hono/basic-auth";
import { secret, z } from "../../plugin.ts";
import { alone, factoryFilter } from "../factory.ts";

const message = z.union([z.string(), z.record(z.string(), z.unknown())]);
const user = z.strictObject({
  username: z.string().describe("who may"),
  password: secret().describe("with which password"),
});
const first = z.strictObject({
  ...user.shape,
  realm: z.string().describe("what the password is for, as browsers show it; Secure Area").exactOptional(),
  invalidUserMessage: message
    .describe("body of the refusal: text, or a map sent as JSON; Unauthorized")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/basic-auth",
  summary: "Asks for a user and a password; in a list, the further ones are further users",
  options: z.union([alone(first), z.tuple([first], user)]),
  factory: basicAuth,
});
