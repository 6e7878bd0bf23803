/** The Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { Family } from "./families.ts";
import { type HistogramSeries, type Series, scales } from "./series.ts";

export const TEXT_FORMAT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** HELP, TYPE and the samples of one family. A series that counted nothing is left out unless it is the only one. */
export function familyText(family: Family, series: readonly Series[]): string {
  let text = headText(family.name, family.kind, family.help);
  for (const one of series) {
    const labels = labelsText(family.labelNames, one.values);
    if (one.kind === "histogram") text += histogramText(one, labels);
    else if (one.count > 0 || labels === "") text += sampleText(family.name, labels, one.count);
  }
  return text;
}

/** What is known at the moment of a scrape. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly samples: readonly { readonly labels: readonly string[]; readonly value: number }[];
}

/** Lines of one gauge; further samples are left out. */
export const GAUGE_SAMPLES_MAX = 10_000;

export function gaugeText({ name, help, labelNames, samples }: Gauge): string {
  let text = headText(name, "gauge", help);
  for (const { labels, value } of samples.slice(0, GAUGE_SAMPLES_MAX))
    text += sampleText(name, labelsText(labelNames, labels), value);
  return text;
}

export function headText(name: string, type: Family["kind"] | "gauge", help: string): string {
  const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n`;
}

/** `a="1",b="2"` */
export function labelsText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, at) => `${name}="${escapeValue(values[at] ?? "")}"`).join(",");
}

export function sampleText(name: string, labels: string, value: number): string {
  return labels === "" ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`;
}

function histogramText(series: HistogramSeries, labels: string): string {
  const { name, bounds } = series.family;
  const scale = scales[bounds];
  const counts = series.histogram.cumulative(scale);
  const total = counts.at(-1)!;
  if (total === 0) return "";
  const before = labels === "" ? "" : `${labels},`;
  let text = "";
  counts.forEach((count, at) => {
    text += sampleText(`${name}_bucket`, `${before}le="${scale.boundsSeconds[at] ?? "+Inf"}"`, count);
  });
  text += sampleText(`${name}_sum`, labels, series.histogram.sumMs / 1000);
  return text + sampleText(`${name}_count`, labels, total);
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
