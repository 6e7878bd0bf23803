/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";
import type { Workload } from "./workload.ts";
import { compare } from "./workloads/compare.ts";
import { workloads } from "./workloads.ts";

const usage = `npm run bench -- [${workloads.map((each) => each.name).join("|")} ...] [--quick] [--rounds N] [--minutes N] [--seconds N] [--only CASE]... [--clearway PROGRAM]
npm run bench -- --compare REVISION [--quick] [--rounds N] [--minutes N] [--only CASE]...
npm run bench -- charts`;

export function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      minutes: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      clearway: { type: "string" },
      compare: { type: "string" },
    },
  });
  const drawsCharts = positionals.join() === "charts";
  const unknown = positionals.find((name) => !drawsCharts && !workloads.some((each) => each.name === name));
  if (unknown !== undefined) throw new Error(`no workload "${unknown}"; wanted\n${usage}`);
  if (values.compare !== undefined && positionals.length > 0) {
    throw new Error(`--compare has works of its own, which --only chooses from; wanted\n${usage}`);
  }
  const named = workloads.filter(({ name, quickSeconds }) =>
    positionals.length > 0 ? positionals.includes(name) : !values.quick || quickSeconds !== undefined,
  );
  return {
    ...values,
    work: drawsCharts ? "charts" : "measure",
    chosen: values.compare === undefined ? named : [compare as unknown as Workload<object>],
    rounds: count("rounds", values.rounds),
    minutes: count("minutes", values.minutes),
    seconds: count("seconds", values.seconds),
  };
}

function count(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new Error(`cannot read --${name} "${text}": wanted a whole number from 1 on`);
  return Number(text);
}

export type Options = ReturnType<typeof readOptions>;

/** When a workload that begins now begins no further round; null for never. */
export function endOf({ quickSeconds }: Workload<object>, options: Options): number | null {
  const { minutes, quick } = options;
  if (minutes !== null) return performance.now() + minutes * 60_000;
  return quick && quickSeconds !== undefined ? performance.now() + quickSeconds * 1000 : null;
}

/** The command as another machine would type it. */
export function describeCommand(options: Options): string {
  const all = workloads.filter(({ quickSeconds }) => !options.quick || quickSeconds !== undefined);
  const isAll = options.chosen.length === all.length;
  const words = isAll ? [] : options.chosen.map((each) => each.name);
  if (options.compare !== undefined) words.splice(0, 1, "--compare", options.compare);
  if (options.quick) words.push("--quick");
  if (options.rounds !== null) words.push("--rounds", String(options.rounds));
  if (options.minutes !== null) words.push("--minutes", String(options.minutes));
  if (options.seconds !== null) words.push("--seconds", String(options.seconds));
  for (const name of options.only) words.push("--only", `"${name}"`);
  if (options.clearway !== undefined) words.push("--clearway PROGRAM");
  return ["npm run bench", ...(words.length > 0 ? ["--", ...words] : [])].join(" ");
}
