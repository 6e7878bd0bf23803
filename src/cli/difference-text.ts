/** What differs between two mesh documents, for people: service by service, a sign in front of each key. */
import type { Difference, DocumentChange } from "../mesh.ts";
import type { PaintStyle } from "./paint.ts";

export type Painter = (style: PaintStyle, text: string) => string;

const signs = { added: "+", removed: "-", changed: "~" } as const;
const styles = { added: "green", removed: "red", changed: "yellow" } as const;
const valueCharsMax = 120;

export function differenceText({ changes }: Difference, paint: Painter): string {
  const services = [...new Set(changes.map(({ service }) => service))];
  return services.flatMap((service) => ofService(service, changes, paint)).join("\n");
}

function ofService(service: string | null, all: readonly DocumentChange[], paint: Painter): string[] {
  const changes = all.filter((change) => change.service === service);
  const [first] = changes;
  if (service === null) return changes.map((change) => line(change, paint));
  if (first !== undefined && first.key === "" && first.kind !== "changed") {
    return [paint(styles[first.kind], `${signs[first.kind]} ${service}`)];
  }
  return [paint("bold", `  ${service}`), ...changes.map((change) => `  ${line(change, paint)}`)];
}

function line({ key, kind, before, after, note }: DocumentChange, paint: Painter): string {
  const sign = paint(styles[kind], `${signs[kind]} ${key}`.trimEnd());
  const said = note === null ? "" : paint("dim", ` (${note})`);
  if (before === null && after === null) return `${sign}${said}`;
  const value =
    kind === "changed" ? `${flow(before)} -> ${flow(after)}` : flow(kind === "added" ? after : before);
  return `${sign}: ${value}${said}`;
}

/** As a YAML file would have it in one line. */
export function flow(value: unknown): string {
  const text = written(value);
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax - 3)}...` : text;
}

function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) return "{}";
    return `{ ${entries.map(([name, inner]) => `${name}: ${written(inner)}`).join(", ")} }`;
  }
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z0-9/._:-]+$/.test(value) && !/^[\d.]+$/.test(value) ? value : JSON.stringify(value);
}
