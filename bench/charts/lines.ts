/** Latency over rate: one line for each proxy, one panel for each quantile, on a logarithmic scale. */
import { labelOf } from "../labels.ts";
import {
  captionLines,
  element,
  picture,
  pictureWidth,
  shortNumber,
  type Theme,
  text,
  ticksTo,
} from "./picture.ts";

export interface Line {
  readonly name: string;
  /** Requests a second, and microseconds. */
  readonly points: readonly { readonly rate: number; readonly us: number }[];
}

export interface LinePanel {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface LineChart {
  readonly title: string;
  readonly subtitle: string;
  readonly caption: readonly [string, string];
  readonly panels: readonly LinePanel[];
}

const margin = { left: 62, right: 24, top: 104, bottom: 92 };
const panelGap = 66;
const plotHeight = 230;
const height = margin.top + plotHeight + margin.bottom;
/** Room above the highest point and below the lowest, as a factor. */
const spare = 1.25;
const ticksMax = 5;

export function drawLines(chart: LineChart, theme: Theme): string {
  const { title, subtitle, caption, panels } = chart;
  const room = pictureWidth - margin.left - margin.right - panelGap * (panels.length - 1);
  const width = room / panels.length;
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  const colour = colours(names, theme);
  const parts = [
    text(title, { x: 24, y: 28 }, { fill: theme.text, font_size: 17, font_weight: 600 }),
    text(subtitle, { x: 24, y: 48 }, { fill: theme.quiet, font_size: 12.5 }),
    ...drawLegend(names, { colour, theme }),
    ...panels.flatMap((panel, index) => {
      const left = margin.left + index * (width + panelGap);
      return drawPanel(panel, { left, width, colour, theme });
    }),
    ...captionLines(caption, height, theme),
  ];
  return picture({ height, description: describe(chart) }, parts);
}

type Colour = (name: string) => string;

function colours(names: readonly string[], theme: Theme): Colour {
  const peers = names.filter((name) => name !== "clearway" && name !== "direct");
  return (name) => {
    if (name === "clearway") return theme.own;
    return name === "direct" ? theme.bar : theme.lines[peers.indexOf(name) % theme.lines.length]!;
  };
}

function drawLegend(names: readonly string[], { colour, theme }: { colour: Colour; theme: Theme }): string[] {
  let x = 24;
  return names.flatMap((name) => {
    const own = name === "clearway";
    const word = labelOf(name);
    const style = { fill: own ? theme.own : theme.text, font_size: 12, font_weight: own ? 700 : 400 };
    const drawn = [
      element("line", { x1: x, x2: x + 22, y1: 68, y2: 68, ...strokeOf(name, colour) }),
      text(word, { x: x + 28, y: 72 }, style),
    ];
    x += 28 + word.length * 7 + 22;
    return drawn;
  });
}

function strokeOf(name: string, colour: Colour) {
  const dashes = name === "direct" ? { stroke_dasharray: "4 3" } : {};
  return { stroke: colour(name), stroke_width: name === "clearway" ? 3 : 1.75, ...dashes };
}

interface Place {
  readonly left: number;
  readonly width: number;
  readonly colour: Colour;
  readonly theme: Theme;
}

function drawPanel({ title, lines }: LinePanel, { left, width, colour, theme }: Place): string[] {
  const points = lines.flatMap((line) => line.points);
  const rates = ticksTo(Math.max(...points.map(({ rate }) => rate)), ticksMax);
  const [low, high] = [Math.min, Math.max].map((most) => Math.log10(most(...points.map(({ us }) => us))));
  const [bottom, top] = [low! - Math.log10(spare), high! + Math.log10(spare)];
  const x = (rate: number) => left + (rate / rates.at(-1)!) * width;
  const y = (us: number) =>
    margin.top + plotHeight - ((Math.log10(us) - bottom) / (top - bottom)) * plotHeight;
  const label = { fill: theme.quiet, font_size: 10.5 };
  const below = margin.top + plotHeight;
  const grid = [
    ...latencyTicks(10 ** bottom, 10 ** top).flatMap((us) => [
      element("line", { x1: left, x2: left + width, y1: y(us), y2: y(us), stroke: theme.grid }),
      text(latencyLabel(us), { x: left - 8, y: y(us) + 3.5 }, { ...label, text_anchor: "end" }),
    ]),
    ...rates.map((rate) =>
      text(shortNumber(rate), { x: x(rate), y: below + 16 }, { ...label, text_anchor: "middle" }),
    ),
    text("requests a second", { x: left + width / 2, y: below + 33 }, { ...label, text_anchor: "middle" }),
  ];
  const drawn = lines.flatMap((line) => {
    const places = line.points.map(({ rate, us }) => ({ x: x(rate), y: y(us) }));
    const path = places.map((each) => `${each.x.toFixed(1)},${each.y.toFixed(1)}`).join(" ");
    const radius = line.name === "clearway" ? 4 : 3;
    return [
      element("polyline", {
        points: path,
        fill: "none",
        stroke_linejoin: "round",
        ...strokeOf(line.name, colour),
      }),
      ...places.map(({ x: cx, y: cy }) => element("circle", { cx, cy, r: radius, fill: colour(line.name) })),
    ];
  });
  const head = text(
    title,
    { x: left, y: margin.top - 10 },
    { fill: theme.text, font_size: 12.5, font_weight: 600 },
  );
  return [head, ...grid, ...drawn];
}

/** 1, 2 and 5 of each power of ten; of many powers only 1. */
function latencyTicks(low: number, high: number): number[] {
  const factors = high / low > 300 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    ticks.push(...factors.map((factor) => factor * power).filter((us) => us >= low && us <= high));
  }
  return ticks;
}

function latencyLabel(us: number): string {
  if (us >= 1e6) return `${us / 1e6} s`;
  return us >= 1000 ? `${us / 1000} ms` : `${us} µs`;
}

function describe({ title, panels }: LineChart): string {
  const said = panels.map(({ title: of, lines }) => {
    const ends = lines.map(
      ({ name, points }) => `${labelOf(name)} ${latencyLabel(Math.round(points.at(-1)?.us ?? 0))}`,
    );
    return `${of}, at the highest rate: ${ends.join(", ")}`;
  });
  return `${title}. ${said.join(". ")}`;
}
