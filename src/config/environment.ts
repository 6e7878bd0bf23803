/**
 * `${NAME}` and `${NAME:-default}` inside values. They are read after the YAML was parsed, so what they hold can
 * never change the structure. `$${` stands for a literal `${`.
 */
import type { Plain } from "./located.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The text with the environment in it, or why it cannot be had. */
export type Substitution =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; message: string };

const resultCharactersMax = 64 * 1024;
const reference = /\$?\$\{([^}]*)(\}?)/g;
const content = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

export function substitute(text: string, environment: Environment): Substitution {
  let message: string | null = null;
  const result = text.replace(reference, (whole: string, inner: string, close: string) => {
    if (whole.startsWith("$${")) return whole.slice(1);
    const match = close === "" ? null : content.exec(inner);
    if (match === null) {
      message ??= `cannot read ${JSON.stringify(whole)}: wanted \${NAME} or \${NAME:-default}`;
      return "";
    }
    const [, name, fallback] = match;
    const value = environment[name!];
    // As in a shell, `:-` stands in for an empty value too.
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      message ??= `the environment has no ${name}: wanted it set, or \${${name}:-default}`;
    return value ?? "";
  });
  if (message !== null) return { ok: false, message };
  if (result.length > resultCharactersMax) {
    return { ok: false, message: `the environment makes this longer than ${resultCharactersMax} characters` };
  }
  return { ok: true, text: result };
}

/** What the text would be as a plain YAML scalar: a number, a boolean, or still the text. */
export function retyped(text: string): Plain {
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text;
}
