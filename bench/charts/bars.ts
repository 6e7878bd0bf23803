/** Horizontal bars: one row for each proxy, one panel for each work, with the range of the rounds. */
import { labelOf } from "../labels.ts";
import { figure } from "../table.ts";
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

export interface Bar {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface BarPanel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface BarChart {
  readonly title: string;
  /** What a bar is, and which end is the good one. */
  readonly subtitle: string;
  /** What was measured where, in two lines. */
  readonly caption: readonly [string, string];
  readonly panels: readonly BarPanel[];
  /** Rows from the top; the one of Clearway stands out. */
  readonly names: readonly string[];
}

const margin = { left: 24, right: 24, top: 78, bottom: 74 };
const nameWidth = 142;
const panelGap = 40;
const rowHeight = 30;
const barHeight = 16;
/** For the figure after the longest bar. */
const figureWidth = 52;
const ticksMax = 4;

export function drawBars(chart: BarChart, theme: Theme): string {
  const { title, subtitle, caption, panels, names } = chart;
  const rows = names.length;
  const height = margin.top + rows * rowHeight + margin.bottom;
  const room = pictureWidth - margin.left - margin.right - nameWidth - panelGap * (panels.length - 1);
  const width = room / panels.length;
  const parts = [
    text(title, { x: margin.left, y: 28 }, { fill: theme.text, font_size: 17, font_weight: 600 }),
    text(subtitle, { x: margin.left, y: 48 }, { fill: theme.quiet, font_size: 12.5 }),
    ...names.map((name, row) => drawName(name, { row, theme })),
    ...panels.flatMap((panel, index) => {
      const left = margin.left + nameWidth + index * (width + panelGap);
      return drawPanel(panel, { names, left, width, theme });
    }),
    ...captionLines(caption, height, theme),
  ];
  return picture({ height, description: describe(chart) }, parts);
}

function drawName(name: string, { row, theme }: { row: number; theme: Theme }): string {
  const own = name === "clearway";
  const style = { fill: own ? theme.own : theme.text, font_size: 13, font_weight: own ? 700 : 400 };
  const place = { x: margin.left + nameWidth - 12, y: rowMiddle(row) + 4.5 };
  return text(labelOf(name), place, { ...style, text_anchor: "end" });
}

function rowMiddle(row: number): number {
  return margin.top + row * rowHeight + rowHeight / 2;
}

interface Place {
  readonly names: readonly string[];
  readonly left: number;
  readonly width: number;
  readonly theme: Theme;
}

function drawPanel({ title, bars }: BarPanel, { names, left, width, theme }: Place): string[] {
  const ticks = ticksTo(Math.max(...bars.map(({ max }) => max)), ticksMax);
  const most = ticks.at(-1)!;
  const x = (value: number) => left + (value / most) * (width - figureWidth);
  const bottom = margin.top + names.length * rowHeight;
  const grid = ticks.flatMap((tick) => [
    element("line", { x1: x(tick), x2: x(tick), y1: margin.top, y2: bottom, stroke: theme.grid }),
    text(
      shortNumber(tick),
      { x: x(tick), y: bottom + 16 },
      { ...{ fill: theme.quiet, font_size: 10.5 }, text_anchor: "middle" },
    ),
  ]);
  const head = text(
    title,
    { x: left, y: margin.top - 8 },
    { fill: theme.text, font_size: 12.5, font_weight: 600 },
  );
  const drawn = bars.flatMap((bar) => {
    const middle = rowMiddle(names.indexOf(bar.name));
    const own = bar.name === "clearway";
    const fill = own ? theme.own : theme.bar;
    const end = x(bar.median);
    const range = { x1: x(bar.min), x2: x(bar.max), y1: middle, y2: middle };
    const style = { fill: own ? theme.own : theme.text, font_size: 12, font_weight: own ? 700 : 400 };
    return [
      element("rect", {
        x: left,
        y: middle - barHeight / 2,
        width: end - left,
        height: barHeight,
        fill,
        rx: 2,
      }),
      element("line", { ...range, stroke: theme.text, stroke_width: 1.25, opacity: 0.55 }),
      text(figure(bar.median), { x: Math.max(end, x(bar.max)) + 6, y: middle + 4.5 }, style),
    ];
  });
  return [head, ...grid, ...drawn];
}

function describe({ title, panels }: BarChart): string {
  const said = panels.map((panel) => {
    const figures = panel.bars.map(({ name, median }) => `${labelOf(name)} ${figure(median)}`);
    return `${panel.title}: ${figures.join(", ")}`;
  });
  return `${title}. ${said.join(". ")}`;
}
