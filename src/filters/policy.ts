/**
 * Downstream, and first where it stands. Who may call what: by the identity that mTLS proved, the method, and the path as it
 * will be forwarded. A refusal says nothing of the rules; the log does.
 */
import {
  defineFilter,
  type Middleware,
  methodName,
  pathPattern,
  type RequestUnderWay,
  z,
} from "../plugin.ts";
import { callerSchema, trustDomainSchema } from "./policy/caller.ts";
import { Notes } from "./policy/notes.ts";
import { PolicyRules } from "./policy/policy-rules.ts";
import { refusalOf } from "./refusal.ts";
import { targetOf } from "./who/target.ts";

const RULES_MAX = 1000;
const CALLERS_MAX = 256;
const METHODS_MAX = 32;

const rule = z.strictObject({
  from: z
    .union([callerSchema, z.array(callerSchema).min(1).max(CALLERS_MAX)])
    .describe(
      "a service of the trust domain, an identity `spiffe://…`, `*` for every caller with an identity, `anonymous` for one without; or a list",
    ),
  method: z
    .union([methodName(), z.array(methodName()).min(1).max(METHODS_MAX)])
    .optional()
    .describe("a method, or a list; any without it"),
  path: pathPattern().optional().describe("a path, as in a route's match; any without it"),
});
const rules = z.array(rule).max(RULES_MAX).default([]);

const options = z
  .strictObject({
    allow: rules.describe("who passes: one of these is enough"),
    audit: rules.describe("who passes although no rule of `allow` says so, and is logged and counted"),
    default: z
      .enum(["deny", "allow"])
      .default("deny")
      .describe("what becomes of a request that no rule is about"),
    trustDomain: trustDomainSchema.optional().describe("of services that rules name without `spiffe://`"),
  })
  .superRefine(({ allow, audit, trustDomain }, context) => {
    if (trustDomain !== undefined) return;
    for (const [list, each] of [...entriesOf("allow", allow), ...entriesOf("audit", audit)]) {
      const name = [each.from].flat().find((from) => /^[a-z0-9]/.test(from) && isService(from));
      if (name === undefined) continue;
      const message = `wanted trustDomain beside it, or spiffe://DOMAIN/${name}`;
      context.addIssue({ code: "custom", message, path: [...list, "from"], input: name });
    }
  });

function entriesOf(key: string, list: readonly z.output<typeof rule>[]) {
  return list.map((each, index) => [[key, index], each] as const);
}

function isService(from: string): boolean {
  return from !== "anonymous" && !from.startsWith("spiffe://");
}

export default defineFilter({
  name: "policy",
  summary: "Lets pass whom its rules name, by proved identity, method and path",
  options,
  middleware: (given, { clock, log, metrics }): Middleware => {
    const policy = new PolicyRules(given);
    const notes = new Notes(clock, log);
    const judge: Middleware = (c, next) => {
      const { identity } = c.env;
      const caller = policy.callerOf(identity);
      if (caller.passes === "always") return next();
      const { method } = c.req;
      const { path } = targetOf(c.req.raw.url);
      const { verdict, rule } = caller.judge(method, path);
      if (verdict === "allowed") return next();
      const who = identity ?? "anonymous";
      notes.note({ verdict, who, method, path, rule });
      metrics.count(verdict === "audited" ? "policy_audited" : "policy_denied", { caller: who });
      if (verdict === "audited") return next();
      const sentence = `${who} may not ${method} ${path}`;
      return Promise.resolve(refusalOf({ status: 403, reason: "policy-denied", sentence }));
    };
    const stillAllows = ({ identity, method, path }: RequestUnderWay) =>
      policy.callerOf(identity).judge(method, path).verdict !== "denied";
    return Object.assign(judge, { stillAllows });
  },
});
