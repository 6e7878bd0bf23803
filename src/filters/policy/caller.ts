/** How a rule names callers. */
import { isTrustDomain, parseIdentity, z } from "../../plugin.ts";

const wanted = 'wanted the name of a service, spiffe://DOMAIN/SERVICE, "*" for every identity, or anonymous';
const service = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const callerSchema = z.string({ error: wanted }).superRefine((text, context) => {
  if (text === "*" || service.test(text) || parseIdentity(text) !== null) return;
  context.addIssue({ code: "custom", message: wanted, input: text });
});

export const trustDomainSchema = z.string().superRefine((text, context) => {
  if (isTrustDomain(text)) return;
  context.addIssue({ code: "custom", message: "wanted a name such as store.example", input: text });
});
