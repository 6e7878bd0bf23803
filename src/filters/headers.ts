/**
 * Downstream. Changes headers of the request before the service sees them, and of the answer before the caller does:
 * first `remove`, then `set` (which replaces), then `add` (which keeps what is there). The names that say how a
 * message is framed or belong to one connection (RFC 9110, section 7.6.1) are Clearway's own to write.
 */
import { defineFilter, z } from "../plugin.ts";
import { headerName, headerNameProblem } from "./header-name.ts";

/** RFC 9110, section 5.5; a header holds bytes, so nothing above U+00FF fits. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const headerValue = z
  .string("wanted text")
  .regex(VALUE, "wanted a header value: Latin text without line ends and other control characters");

// Not `z.record(headerName, …)`: it reports a wrong key as "Invalid key" and hides why.
const headerValues = z.record(z.string(), headerValue).superRefine((values, context) => {
  for (const name of Object.keys(values)) {
    const message = headerNameProblem(name);
    if (message !== null) context.addIssue({ code: "custom", message, input: name, path: [name] });
  }
});

const changes = z.strictObject({
  remove: z.array(headerName).default([]).describe("names of headers to take out"),
  set: headerValues.default({}).describe("headers to put in place of what is there"),
  add: headerValues.default({}).describe("headers to put beside what is there"),
});

type Changes = z.output<typeof changes>;
const none: Changes = { remove: [], set: {}, add: {} };

export default defineFilter({
  name: "headers",
  summary: "Sets, adds and removes headers of the request and of the answer",
  options: z.strictObject({
    request: changes.default(none).describe("changes that the service sees"),
    response: changes.default(none).describe("changes that the caller sees"),
  }),
  middleware: (options) => {
    const changeRequest = editor(options.request);
    const changeResponse = editor(options.response);
    const changeAnswer =
      changeResponse === null ? null : (answer: Response) => changeResponse(answer.headers);
    return (c, next) => {
      changeRequest?.(c.req.raw.headers);
      if (changeAnswer !== null) c.env.onAnswer(changeAnswer);
      return next();
    };
  },
});

/** Null when there is nothing to change, so that headers which stay as they are need not be looked at. */
function editor(change: Changes): ((headers: Headers) => void) | null {
  const { remove } = change;
  const set = Object.entries(change.set);
  const add = Object.entries(change.add);
  if (remove.length + set.length + add.length === 0) return null;
  return (headers) => {
    for (const name of remove) headers.delete(name);
    for (const [name, value] of set) headers.set(name, value);
    for (const [name, value] of add) headers.append(name, value);
  };
}
