/** Where a rule is broken on purpose: `path name`, and why. One that is no longer needed fails the test. */
const hot = "runs once for each request, on numbers: an object would be an allocation";

export const exceptions = {
  parameters: new Map([
    ["src/types.ts record", hot],
    ["src/telemetry/worker-meters.ts record", hot],
  ]),
  booleans: new Map<string, string>(),
};
