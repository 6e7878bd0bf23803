/** docs/reference/filters.md: every built-in filter with every option, from the schemas that read them. */
import { honoFilters } from "../../src/filters/hono/index.ts";
import { filters } from "../../src/filters/index.ts";
import type { FilterDefinition } from "../../src/types.ts";
import { rowsOf, table } from "./rows.ts";
import { values } from "./values.ts";
import { escaped, wordsOf } from "./words.ts";

const head = `# Reference: filters

Made by \`npm run docs\` from the schemas that read a config; \`clearway schema\` gives the same to an editor. What the filters
are good for is in [the guide](../filters.md), the rest of a config in [config.md](config.md).

An entry of a \`filters:\` list is a name, or a map with the name and the options behind it. Two keys may stand beside that:

| key | takes | default | |
|---|---|---|---|
| \`id\` | a name | | tells several entries of one filter apart |
| \`onError\` | \`fail\` or \`open\` | \`fail\` | what happens when the filter throws: an answer with 500, or the chain goes on without it |

A list runs from the first to the last: filters around the request, then those around the call to the service, then those of
them that may send more than once. Those around the call stand on routes only.
`;

const ofHono = `## Hono's

Hono's own middlewares, called with what stands behind their names; a list gives several arguments. All run around the request.
What a description says behind its last semicolon is so without the option.
`;

/** In the order of the program's own list. */
export async function filtersPage(): Promise<string> {
  const builtIn = [...filters.values()];
  const hono = await Promise.all(
    honoFilters.names.map(async (name) => (await honoFilters.find(name)) as FilterDefinition),
  );
  const parts = [
    head,
    overview(builtIn),
    values,
    ...builtIn.map((filter) => section(filter)),
    ofHono,
    ...hono.map((filter) => section(filter)),
  ];
  return parts.join("\n");
}

function overview(list: readonly FilterDefinition[]): string {
  const rows = list.map(({ name, summary, ...shape }) => {
    const place = placeOf(shape as FilterDefinition);
    return `| [${name}](#${name}) | ${escaped(summary)} | ${place} |`;
  });
  return `${["| filter | what it does | where it runs |", "|---|---|---|", ...rows].join("\n")}\n`;
}

function placeOf({ middleware, repeats }: FilterDefinition): string {
  if (middleware !== undefined) return "around the request";
  return repeats ? "around the call, may send several times" : "around the call";
}

function section(filter: FilterDefinition): string {
  const { name, summary, options } = filter;
  const lead = name.includes("/")
    ? `### ${name}\n\n${escaped(summary)}.\n`
    : `## ${name}\n\n${escaped(summary)}. Runs ${placeOf(filter)}.\n`;
  const rows = rowsOf(options);
  if (rows.length > 0) return `${lead}\n${table(rows, "option")}\n`;
  const words = wordsOf(options);
  return words === "nothing" ? `${lead}\nTakes no options: \`- ${name}\`.\n` : `${lead}\nTakes ${words}.\n`;
}
