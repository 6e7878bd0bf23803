/**
 * All series of a process, bounded: a caller, a plugin or a fleet of endpoints must not be able to fill the memory of
 * the node or of the Prometheus that reads it.
 */
import {
  type CounterFamily,
  type Family,
  type HistogramFamily,
  otherCounts,
  otherDurations,
} from "./families.ts";
import { Histogram, type Scale, scaleOf } from "./histogram.ts";

/** Lines of one scrape; a histogram counts with each of its buckets, its sum and its count. */
export const SERIES_MAX = 10_000;
/** A longer value of a label is cut, so that the series limit bounds bytes too. */
export const LABEL_CHARACTERS_MAX = 200;
/** The value of every label of the series that takes what comes after the limit. */
export const OTHER = "other";

export const scales: Readonly<Record<HistogramFamily["bounds"], Scale>> = {
  latency: scaleOf([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]),
  code: scaleOf([
    0.000001, 0.0000025, 0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.001, 0.01, 0.1, 1,
  ]),
};

export interface CounterSeries {
  readonly kind: "counter";
  readonly id: number;
  readonly family: CounterFamily;
  readonly values: readonly string[];
  count: number;
}

export interface HistogramSeries {
  readonly kind: "histogram";
  readonly id: number;
  readonly family: HistogramFamily;
  readonly values: readonly string[];
  readonly histogram: Histogram;
}

export type Series = CounterSeries | HistogramSeries;

/** One family with its series. */
interface Shelf {
  /** With names as Prometheus allows them. */
  readonly family: Family;
  /** The label names as the code that counts says them, in the family's order. */
  readonly spoken: readonly string[];
  /** By label values; `other` is the first of them. */
  readonly series: Map<string, Series>;
  readonly other: Series;
}

export type Labels = Readonly<Record<string, string>>;

export class SeriesTable {
  readonly #all = new Set<Series>();
  readonly #shelves = new Map<string, Shelf>();
  readonly #seriesMax: number;
  #used = 0;
  #lastId = -1;

  /** The given families are there whatever the limit. */
  constructor(families: readonly Family[], seriesMax: number) {
    this.#seriesMax = seriesMax;
    for (const family of families) this.#addShelf(family);
  }

  /** The series under these labels, made when it is new, or the family's `other` one when the table is full. */
  counter(family: CounterFamily, labels: Labels): CounterSeries {
    const series = this.#series(this.#shelf(family, otherCounts), labels);
    if (series.kind !== "counter") throw conflict(family, series.family);
    return series;
  }

  histogram(family: HistogramFamily, labels: Labels): HistogramSeries {
    const series = this.#series(this.#shelf(family, otherDurations), labels);
    if (series.kind !== "histogram") throw conflict(family, series.family);
    return series;
  }

  get all(): Iterable<Series> {
    return this.#all;
  }

  /** Frees what the series takes of the limit; one that is counted on after this is made anew. */
  forget(family: Family, labels: Labels): void {
    const shelf = this.#shelves.get(family.name);
    if (shelf === undefined) return;
    const key = keyOf(valuesOf(shelf, labels));
    const series = shelf.series.get(key);
    if (series === undefined || series === shelf.other) return;
    shelf.series.delete(key);
    this.#all.delete(series);
    this.#used -= linesOf(shelf.family);
  }

  /** The families in the order in which they came, each with its series. */
  *byFamily(): IterableIterator<{ readonly family: Family; readonly series: readonly Series[] }> {
    for (const { family, series } of this.#shelves.values()) yield { family, series: [...series.values()] };
  }

  /** The first who names a family decides on its help and its label names. */
  #shelf(family: Family, fallback: Family): Shelf {
    const known = this.#shelves.get(family.name) ?? this.#shelves.get(validName(family.name));
    if (known !== undefined) return known;
    if (this.#used + linesOf(family) > this.#seriesMax) return this.#shelves.get(fallback.name)!;
    return this.#addShelf(family);
  }

  #addShelf(spoken: Family): Shelf {
    const labels = new Map(spoken.labelNames.map((name) => [validName(name), name]));
    const family = { ...spoken, name: validName(spoken.name), labelNames: [...labels.keys()] };
    // The line of `other` is paid for at once: so the limit holds whatever comes.
    const values = family.labelNames.map(() => OTHER);
    const other = this.#add(family, values);
    const series = new Map([[keyOf(values), other]]);
    const shelf = { family, spoken: [...labels.values()], series, other };
    this.#shelves.set(family.name, shelf);
    return shelf;
  }

  #series(shelf: Shelf, labels: Labels): Series {
    const { family, series, other } = shelf;
    const values = valuesOf(shelf, labels);
    const key = keyOf(values);
    const known = series.get(key);
    if (known !== undefined) return known;
    if (this.#used + linesOf(family) > this.#seriesMax) return other;
    const added = this.#add(family, values);
    series.set(key, added);
    return added;
  }

  #add(family: Family, values: readonly string[]): Series {
    this.#lastId += 1;
    const id = this.#lastId;
    const series: Series =
      family.kind === "counter"
        ? { kind: "counter", id, family, values, count: 0 }
        : { kind: "histogram", id, family, values, histogram: new Histogram() };
    this.#all.add(series);
    this.#used += linesOf(family);
    return series;
  }
}

function valuesOf({ spoken }: Shelf, labels: Labels): string[] {
  return spoken.map((name) => (labels[name] ?? "").slice(0, LABEL_CHARACTERS_MAX));
}

function keyOf(values: readonly string[]): string {
  return values.join("\u0000");
}

/** How much of the limit a series takes. */
function linesOf(family: Family): number {
  // Beside the bounds: +Inf, the sum and the count.
  return family.kind === "counter" ? 1 : scales[family.bounds].boundsSeconds.length + 3;
}

/** A filter's name has hyphens, a metric's must not: https://prometheus.io/docs/concepts/data_model/ */
function validName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9])/, "_");
}

function conflict(wanted: Family, found: Family): Error {
  return new Error(`cannot use "${wanted.name}" as a ${wanted.kind}: it is already a ${found.kind}`);
}
