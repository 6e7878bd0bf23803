/** Where a rule is broken on purpose: `path name`, and why. One that is no longer needed fails the test. */
const hot = "runs once for each request, on numbers: an object would be an allocation";
const honos = "a member that Hono's Context has";

export const exceptions = {
  parameters: new Map([
    ["src/types.ts record", hot],
    ["src/telemetry/worker-meters.ts record", hot],
  ]),
  booleans: new Map([["src/runtime/filter-context.ts finalized", honos]]),
  abbreviations: new Map([
    ["src/runtime/filter-context.ts req", honos],
    ["src/runtime/filter-context.ts res", honos],
  ]),
};
