/**
 * Upstream. Makes a service look slow or broken, to see what its callers do then: holds requests back, refuses them, or
 * both. It stands around `retry`, so callers see every fault. With `header`, only requests that ask for it have one.
 */
import { defineFilter, duration, percent, type Tools, z } from "../plugin.ts";
import { headerName } from "./header-name.ts";
import { refusalOf } from "./refusal.ts";
import { pause } from "./sending/pause.ts";

const share = percent().default(1);

const delay = z.strictObject({
  for: duration({ maxMs: 600_000 }).describe("how long a request is held back"),
  percent: share.describe("share of the requests that are held back"),
});

const abort = z.strictObject({
  status: z.int().min(400).max(599).describe("status of the refusal"),
  percent: share.describe("share of the requests that are refused"),
});

const options = z
  .strictObject({
    delay: delay.optional().describe("holds requests back before they are sent"),
    abort: abort.optional().describe("refuses requests, after their delay"),
    header: headerName.optional().describe("only requests with this header are meant; all without it"),
  })
  .refine(({ delay, abort }) => delay !== undefined || abort !== undefined, "wanted delay, abort or both");

export default defineFilter({
  name: "fault",
  summary: "Holds requests back or refuses them, to see what callers do then",
  options,
  upstream: (given, tools) => async (call, send) => {
    const { delay, abort, header } = given;
    if (header !== undefined && !call.request.headers.has(header)) return send();
    if (delay !== undefined && isDrawn(delay, tools)) {
      tools.metrics.count("faults", { route: call.route, fault: "delay" });
      await pause(tools.clock, delay.for, call.signal);
    }
    if (abort === undefined || !isDrawn(abort, tools)) return send();
    tools.metrics.count("faults", { route: call.route, fault: "abort" });
    const sentence = "this route refuses requests on purpose";
    return refusalOf({ status: abort.status, reason: "fault", sentence });
  },
});

function isDrawn(fault: { readonly percent: number }, { random }: Tools): boolean {
  return random.fraction() < fault.percent;
}
