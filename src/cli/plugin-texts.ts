/** The files that `clearway plugin new` writes: a filter that works, and a test that passes, to begin with. */
export type Shape = "middleware" | "upstream";

interface Named {
  readonly name: string;
  readonly shape: Shape;
}

export function filterText({ name, shape }: Named): string {
  return shape === "middleware" ? middlewareText(name) : upstreamText(name);
}

function middlewareText(name: string): string {
  return `import { defineFilter, z } from "clearway/plugin";

export default defineFilter({
  name: "${name}",
  summary: "Adds a header to every answer",
  // What may stand behind its name in clearway.yaml; anything else is a problem at its line.
  options: z.strictObject({
    header: z.string().default("x-${name}").describe("name of the header"),
    value: z.string().describe("what the header says"),
  }),
  // Runs once for each config; what it returns runs for each request, as a middleware of Hono.
  middleware: (options, tools) => async (c, next) => {
    await next();
    c.header(options.header, options.value);
    tools.metrics.count("answers", { value: options.value });
  },
});
`;
}

function upstreamText(name: string): string {
  return `import { defineFilter, z } from "clearway/plugin";

export default defineFilter({
  name: "${name}",
  summary: "Adds a header to every request that the service gets",
  // What may stand behind its name in clearway.yaml; anything else is a problem at its line.
  options: z.strictObject({
    header: z.string().default("x-${name}").describe("name of the header"),
    value: z.string().describe("what the header says"),
  }),
  // Runs once for each config; what it returns runs for each call of the service.
  upstream: (options, tools) => async (call, send) => {
    const request = new Request(call.request);
    request.headers.set(options.header, options.value);
    tools.metrics.count("requests", { value: options.value });
    return send({ request });
  },
});
`;
}

export function testText({ name, shape }: Named): string {
  const [what, seen, metric] =
    shape === "middleware"
      ? ["answer", "response.headers", "answers"]
      : ["request", "filter.received[0]?.headers", "requests"];
  return `import { expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import plugin from "./${name}.ts";

test("${name} adds its header to the ${what}", async () => {
  await using filter = testFilter(plugin, { value: "blue" });
  const response = await filter.request("/orders");
  expect(response.status).toBe(200);
  expect(${seen}.get("x-${name}")).toBe("blue");
  expect(filter.counted("${metric}", { value: "blue" })).toBe(1);
});

test("${name} wants text as its value", () => {
  expect(() => testFilter(plugin, { value: 5 as never })).toThrow("value: cannot read 5: wanted text");
});
`;
}

export const readmeText = `# Filters of our own

Each file here is a filter of Clearway: TypeScript, with Hono's \`(c, next)\` or \`(call, send)\`. A route of
\`clearway.yaml\` has it among its filters, by its path and with its options:

\`\`\`yaml
filters:
  - ./plugins/NAME.ts: { value: blue }
\`\`\`

| | |
|---|---|
| \`clearway plugin new NAME\` | writes another one, with its test; \`--upstream\` for one around the call to the service |
| \`clearway plugin test\` | runs the tests: no network, virtual time; \`--watch\` at every save |
| \`clearway check\` | checks the config with the options of these filters |
| \`clearway plugin types\` | writes the types for an editor again, after an update or a fresh checkout |

A running node has a filter live as soon as its file is saved. \`hono\`, \`zod\` and \`clearway/plugin\` are the program's
own; nothing has to be installed. What comes from npm is installed as usual, and bundled.
`;
