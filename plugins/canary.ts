/**
 * Upstream. Sends a share of the callers to a new version of a service, and each of them always to the same one. A
 * caller gets a number in a cookie, once; those whose number is below `percent` go to the canary. So a larger share
 * takes further callers along and sends nobody back, and `percent: 0` ends it for everyone with the next request.
 *
 * Who tests it writes `always` or `never` into the cookie. A caller without cookies gets a new number each time.
 */
import { defineFilter, duration, percent, service, z } from "clearway/plugin";

/** Numbers go from 0 to one less: a share can be as small as 0.01%. */
const NUMBERS = 10_000;
const dayMs = 24 * 3_600_000;

const options = z.strictObject({
  to: service().describe("service that is the canary"),
  percent: percent().describe("share of the callers that go there"),
  cookie: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, "wanted the name of a cookie: letters, digits, dashes and underscores")
    .default("canary")
    .describe("cookie that holds a caller's number; one for each canary"),
  remember: duration({ maxMs: 365 * dayMs })
    .default(30 * dayMs)
    .describe("how long a browser keeps the cookie"),
});

export default defineFilter({
  name: "canary",
  summary: "Sends a share of the callers to another service, each always to the same one",
  options,
  upstream:
    ({ to, percent: share, cookie, remember }, { random, metrics }) =>
    async (call, send) => {
      const { headers, url } = call.request;
      const known = readNumber(headers.get("cookie"), cookie);
      const number = known ?? Math.floor(random.fraction() * NUMBERS);
      const isCanary = number === "always" || (number !== "never" && number < Math.round(share * NUMBERS));
      metrics.count("canary_requests", { route: call.route, to: isCanary ? to : call.service });
      const response = isCanary ? await send({ service: to }) : await send();
      if (known === null) {
        const secure = url.startsWith("https:") ? "; Secure" : "";
        const rest = `Path=/; Max-Age=${Math.floor(remember / 1000)}; HttpOnly; SameSite=Lax${secure}`;
        response.headers.append("set-cookie", `${cookie}=${number}; ${rest}`);
      }
      return response;
    },
});

/** Null where there is none, or something else than this filter writes. */
function readNumber(cookies: string | null, name: string): number | "always" | "never" | null {
  const pair = (cookies ?? "").split(";").find((one) => one.trim().startsWith(`${name}=`));
  const value = pair?.slice(pair.indexOf("=") + 1).trim() ?? "";
  if (value === "always" || value === "never") return value;
  return /^\d{1,4}$/.test(value) ? Number(value) : null;
}
