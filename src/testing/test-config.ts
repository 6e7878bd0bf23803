/** The config of a test: what a user would write around the filter, read as a user's is. */
import { loadConfig } from "../config/load.ts";
import type { FindFilters } from "../filter-lookup.ts";
import type { Address, Certificates, Clock } from "../machine.ts";
import { defineFilter, z } from "../plugin.ts";
import { addressText } from "../runtime/endpoint.ts";
import type { Snapshot } from "../snapshot.ts";
import type { FilterDefinition, RequestSummary, Variables } from "../types.ts";
import type { FilterBeside, TestSetting } from "./nouns.ts";
import { optionsError } from "./option-problems.ts";

export const listenerAddress = { host: "10.1.0.1", port: 80 } as const;
/** The service of the route. */
export const mainService = "orders";
const fileName = "clearway.yaml";

export interface ConfigParts {
  readonly clock: Clock;
  readonly certificates: Certificates;
  readonly findFilters: FindFilters;
  /** What options name, e.g. `file:keys/partner`. */
  readFile(path: string): Promise<string>;
}

export interface ConfigDraft {
  readonly definition: FilterDefinition;
  readonly options: unknown;
  readonly setting: TestSetting;
  readonly services: ReadonlyMap<string, readonly Address[]>;
  readonly recorder: Recorder;
  readonly version: number;
}

/** Where the test's own filter puts what it sees. */
export interface Recorder {
  ended(summary: RequestSummary): void;
  vars(vars: Variables): void;
}

export interface ReadConfig {
  readonly snapshot: Snapshot;
  readonly findFilters: FindFilters;
}

/** Rejects with an Error that says what a user would be told. */
export async function readTestConfig(draft: ConfigDraft, parts: ConfigParts): Promise<ReadConfig> {
  const own = ownFilters(draft);
  const findFilters: FindFilters = async (names, place) => {
    const others = new Set([...names].filter((name) => !own.has(name)));
    const found = await parts.findFilters(others, place);
    return { ...found, filters: new Map([...found.filters, ...own]) };
  };
  const text = JSON.stringify(configOf(draft));
  const { snapshot, problems } = await loadConfig({
    file: fileName,
    files: {
      read: (path) => (path === fileName ? Promise.resolve(text) : parts.readFile(path)),
      list: () => Promise.resolve([]),
    },
    findFilters,
    environment: {},
    certificates: parts.certificates,
    clock: parts.clock,
    version: draft.version,
  });
  if (snapshot === null) throw optionsError(draft.definition.name, problems);
  return { snapshot, findFilters };
}

function configOf({ definition, options, setting, services }: ConfigDraft): object {
  const {
    before = [],
    after = [],
    onError = "fail",
    route = {},
    place = "route",
    listener = "web",
  } = setting;
  const entry = { [definition.name]: options ?? null, onError };
  const list = [...before.map(besideEntry), entry, ...after.map(besideEntry)];
  const inListener = place === "listener" ? list : [];
  const inRoute = place === "route" ? list : [];
  return {
    listeners: {
      [listener]: {
        bind: addressText(listenerAddress),
        filters: [recorderName, ...inListener],
        routes: [{ name: "orders", ...route, filters: inRoute, to: mainService }],
      },
    },
    services: Object.fromEntries(
      [...services].map(([name, addresses]) => [name, { endpoints: addresses.map(addressText) }]),
    ),
  };
}

function besideEntry(beside: FilterBeside): unknown {
  if (!isPair(beside)) return beside;
  const [{ name }, options = null] = beside;
  return { [name]: options };
}

function isPair(beside: FilterBeside): beside is readonly [FilterDefinition, unknown?] {
  return Array.isArray(beside);
}

const recorderName = "test-recorder";

/** Those that the test gives by themselves, and the one that sees what the test wants to see. */
function ownFilters({ definition, setting, recorder }: ConfigDraft): Map<string, FilterDefinition> {
  const { before = [], after = [], vars = {} } = setting;
  const beside = [...before, ...after].filter(isPair).map(([one]) => one);
  const recording = defineFilter({
    name: recorderName,
    summary: "Sees what a test wants to see",
    options: z.strictObject({}),
    middleware: () => async (c, next) => {
      c.env.finished((summary) => recorder.ended(summary));
      for (const [name, value] of Object.entries(vars)) c.set(name, value);
      await next();
      recorder.vars({ ...c.var });
    },
  });
  return new Map([...beside, definition, recording].map((one) => [one.name, one]));
}
