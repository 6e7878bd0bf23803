/** The grammar of a node's place in a mesh. */
import { z } from "zod";
import { meshServiceName } from "./values.ts";

export const coordinatorsMax = 16;

const urlWanted = "wanted the URL of a coordinator, such as https://10.0.0.1:4190";

/** Without a slash at its end. */
const coordinatorUrl = z.string({ error: urlWanted }).transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain = url !== null && url.protocol === "https:" && url.hostname !== "";
  if (plain && url.pathname === "/" && `${url.search}${url.hash}${url.username}${url.password}` === "") {
    return url.origin;
  }
  context.addIssue({ code: "custom", message: urlWanted, input: text });
  return z.NEVER;
});

const path = (what: string) => z.string("wanted a path").min(1).max(4096).describe(what);

export const membershipGrammar = z.strictObject({
  coordinator: z
    .union([coordinatorUrl, z.array(coordinatorUrl).min(1).max(coordinatorsMax)])
    .describe("Where the coordinator is, or where several are"),
  service: meshServiceName.describe("The service of the mesh document that this node is"),
  tokenFile: path(
    "A file with the join token, for the first start; relative to this file. Without it CLEARWAY_JOIN_TOKEN",
  ).optional(),
  state: path(
    "The folder that keeps key, certificate and what was last known; relative to this file. Without it .clearway/SERVICE",
  ).optional(),
});
