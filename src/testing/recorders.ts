/** What a test sees of a filter's own: its log, its metrics, the lines that it wrote. */
import type { Appender, Log, LogFields, LogLevel, Meters } from "../types.ts";
import type { LogLine } from "./nouns.ts";

/** Of each kind; what a test does not look at any more is no use to it. */
const RECORDS_MAX = 100_000;

interface Counted {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export class Recorders {
  readonly logged: LogLine[] = [];
  readonly meters: Meters;
  readonly log: Log;
  readonly #counted: Counted[] = [];
  readonly #observed = new Map<string, number[]>();
  readonly #lines = new Map<string, string[]>();

  /** `said` is told each line of the log. */
  constructor(said: (line: LogLine) => void) {
    const at =
      (level: LogLevel) =>
      (message: string, fields: LogFields = {}) => {
        const line = { level, message, fields };
        keep(this.logged, line);
        said(line);
      };
    this.log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
    const nothing = { record() {} };
    this.meters = {
      route: () => nothing,
      endpoint: () => nothing,
      endpoints() {},
      connections() {},
      filter() {},
      count: (name, _help, labels = {}) => keep(this.#counted, { name, labels }),
      observe: (name, _help, milliseconds) => keep(listOf(this.#observed, name), milliseconds),
    };
  }

  open(path: string): Appender {
    const lines = listOf(this.#lines, path);
    return { dropped: 0, line: (text) => keep(lines, text) };
  }

  counted(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const metric = `clearway_filter_${name}_total`;
    const wanted = Object.entries(labels);
    const fits = (one: Counted) => wanted.every(([label, value]) => one.labels[label] === value);
    return this.#counted.filter((one) => one.name === metric && fits(one)).length;
  }

  observed(name: string): readonly number[] {
    return this.#observed.get(`clearway_filter_${name}_seconds`) ?? [];
  }

  lines(path: string): readonly string[] {
    return this.#lines.get(path) ?? [];
  }
}

function keep<Each>(list: Each[], one: Each): void {
  if (list.length < RECORDS_MAX) list.push(one);
}

function listOf<Each>(lists: Map<string, Each[]>, key: string): Each[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
