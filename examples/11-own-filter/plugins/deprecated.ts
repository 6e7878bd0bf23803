/**
 * Downstream. Tells callers that what they use will go away: since when it is deprecated (RFC 9745), when it ends
 * (RFC 8594), and where to read what to do. Counts those who use it still.
 */
import { defineFilter, z } from "clearway/plugin";
import { atSeconds, httpDate } from "./dates.ts";

const date = z.iso.date("wanted a date such as 2026-01-31");

export default defineFilter({
  name: "deprecated",
  summary: "Tells callers that what they use will go away",
  options: z.strictObject({
    since: date.describe("the day from which on it is deprecated"),
    sunset: date.describe("the day on which it ends"),
    link: z.url("wanted a URL").describe("page that says what to do instead"),
  }),
  middleware: ({ since, sunset, link }, tools) => {
    const [deprecation, end] = [atSeconds(since), httpDate(sunset)];
    return async (c, next) => {
      tools.metrics.count("deprecated_requests", { route: c.env.route ?? "none" });
      await next();
      c.header("deprecation", deprecation);
      c.header("sunset", end);
      c.header("link", `<${link}>; rel="deprecation"`, { append: true });
    };
  },
});
