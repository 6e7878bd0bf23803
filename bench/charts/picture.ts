/** What charts are made of: colours for light and dark pages, text, and numbers that come out the same on every machine. */

export interface Theme {
  readonly name: "light" | "dark";
  readonly text: string;
  readonly quiet: string;
  readonly grid: string;
  /** Of Clearway. */
  readonly own: string;
  /** Of a peer among bars. */
  readonly bar: string;
  /** Of peers among lines, in their order. */
  readonly lines: readonly string[];
}

export const themes: readonly Theme[] = [
  {
    ...{ name: "light", text: "#1f2328", quiet: "#59636e", grid: "#d8dee4" },
    ...{ own: "#0969da", bar: "#afb8c1", lines: ["#1a7f37", "#bc4c00", "#8250df", "#9a6700"] },
  },
  {
    ...{ name: "dark", text: "#e6edf3", quiet: "#9198a1", grid: "#3d444d" },
    ...{ own: "#4493f8", bar: "#57606a", lines: ["#3fb950", "#f0883e", "#ab7df8", "#d29922"] },
  },
];

export const pictureWidth = 880;
const font = "ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

export interface Attributes {
  readonly [name: string]: string | number;
}

/** One element; numbers are rounded to a hundredth. */
export function element(name: string, attributes: Attributes, content = ""): string {
  const parts = Object.entries(attributes).map(([key, value]) => {
    const text = typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
    return ` ${key.replaceAll("_", "-")}="${text}"`;
  });
  return content === "" ? `<${name}${parts.join("")}/>` : `<${name}${parts.join("")}>${content}</${name}>`;
}

export function text(
  words: string,
  place: { readonly x: number; readonly y: number },
  style: Attributes,
): string {
  const safe = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return element("text", { ...place, ...style }, safe);
}

/** The whole file; `description` is what somebody hears who does not see it. */
export function picture(
  size: { readonly height: number; readonly description: string },
  parts: readonly string[],
): string {
  const { height, description } = size;
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    ...{ viewBox: `0 0 ${pictureWidth} ${height}`, width: pictureWidth, height, font_family: font },
    ...{ role: "img", aria_label: description.replaceAll('"', "'") },
  };
  return `${element("svg", attributes, `\n${parts.join("\n")}\n`)}\n`;
}

/** At the bottom of a picture. */
export function captionLines(lines: readonly string[], height: number, theme: Theme): string[] {
  const last = height - 14;
  return lines.map((line, index) => {
    const y = last - (lines.length - 1 - index) * 15;
    return text(line, { x: 24, y }, { fill: theme.quiet, font_size: 10.5 });
  });
}

/** Round steps that divide 0 to `most` into at most `count` parts, the last at `most` or beyond. */
export function ticksTo(most: number, count: number): number[] {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => index * step);
}

/** As short as a tick's label may be. */
export function shortNumber(value: number): string {
  if (value >= 1000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
