/**
 * The path policy: what a request's path becomes before it is matched. The result is what is matched and what is
 * forwarded. docs/paths.md has every decision with its reason.
 */
import type { PathPolicy } from "../snapshot.ts";

export type PathResult =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly problem: string };

const plain = 1;
const slash = 2;
const percent = 3;
/** What the quick look does at a character; one without an entry needs the thorough look, which may refuse it. */
const characterKinds = new Uint8Array(256);
for (let code = 0x21; code <= 0x7e; code += 1) characterKinds[code] = plain;
for (const character of "#?\\") characterKinds[character.charCodeAt(0)] = 0;
const slashCode = 0x2f;
const dotCode = 0x2e;
const semicolonCode = 0x3b;
characterKinds[slashCode] = slash;
characterKinds[0x25] = percent;

/** The values of the digits of escapes in upper case; 16, which makes an impossible escape, for all other characters. */
const digitValues = new Uint8Array(256).fill(16);
for (const [value, digit] of [..."0123456789ABCDEF"].entries()) digitValues[digit.charCodeAt(0)] = value;
/** 1 for the bytes whose escapes stay as they are, whatever the policy. Longer than 256 for what is no escape. */
const settledEscapes = new Uint8Array(0x110).fill(1, 0x01, 0x100);
for (const character of "/\\") settledEscapes[character.charCodeAt(0)] = 0;
for (let byte = 0; byte < 0x80; byte += 1) {
  if (isUnreserved(String.fromCharCode(byte))) settledEscapes[byte] = 0;
}

/** Applies the policy to the path of an origin-form target, without its query. */
export function applyPathPolicy(target: string, policy: PathPolicy): PathResult {
  return isSettled(target, policy.slashes === "merge" ? slashCode : -1)
    ? { ok: true, path: target }
    : applyThoroughly(target, policy);
}

/** One pass; true when no rule can have anything to say. `notTwice` may not follow a slash. */
function isSettled(target: string, notTwice: number): boolean {
  if (target.charCodeAt(0) !== slashCode) return false;
  for (let at = 0; at < target.length; at += 1) {
    const kind = characterKinds[target.charCodeAt(at)];
    if (kind === plain) continue;
    if (kind === slash) {
      const next = target.charCodeAt(at + 1);
      if (next === notTwice || (next === dotCode && !isOrdinary(target.charCodeAt(at + 2)))) return false;
    } else if (kind === percent) {
      const high = digitValues[target.charCodeAt(at + 1)]!;
      const low = digitValues[target.charCodeAt(at + 2)]!;
      // The first digit alone can be impossible: 16 in the second place would carry into the first.
      if (low === 16 || settledEscapes[high * 16 + low] !== 1) return false;
      at += 2;
    } else {
      return false;
    }
  }
  return true;
}

/** Whether a segment that begins with a dot and this character is surely no dot segment. */
function isOrdinary(code: number): boolean {
  return characterKinds[code] === plain && code !== dotCode && code !== semicolonCode;
}

function isUnreserved(character: string): boolean {
  return /[A-Za-z0-9\-._~]/.test(character);
}

function applyThoroughly(target: string, policy: PathPolicy): PathResult {
  const problem = refusedAlways(target);
  if (problem !== null) return refuse(problem);
  let path = canonicalEscapes(target);
  if (policy.escapedSlash !== "keep" && path.includes("%2F")) {
    if (policy.escapedSlash === "reject") return refuse("has an escaped slash");
    path = path.replaceAll("%2F", "/");
  }
  if (policy.slashes === "merge") path = path.replace(/\/{2,}/g, "/");
  return applyToSegments(path, policy);
}

function refusedAlways(target: string): string | null {
  if (target.charCodeAt(0) !== slashCode) return 'does not begin with "/"';
  if (/[^\x21-\x7e]/.test(target)) return "has a space, a control character or a character outside ASCII";
  if (target.includes("#")) return 'has a "#"';
  if (target.includes("?")) return 'has a "?"';
  if (target.includes("\\") || /%5c/i.test(target)) return "has a backslash";
  if (/%(?![0-9a-f]{2})/i.test(target)) return 'has a "%" without two hexadecimal digits';
  if (target.includes("%00")) return "has an escaped NUL";
  return null;
}

/**
 * One spelling for each path (RFC 3986 section 6.2.2): escapes of letters, digits, "-", ".", "_" and "~" are decoded,
 * other escapes are in upper case. Services decode before they look, so a route for `/admin` has to see `/%61dmin`.
 */
function canonicalEscapes(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return isUnreserved(character) ? character : triplet.toUpperCase();
  });
}

function applyToSegments(path: string, policy: PathPolicy): PathResult {
  const segments = path.split("/");
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    if (/^\.\.?(;|%3B)/.test(segment)) return refuse('has a dot segment with a ";"');
    if (segment !== "." && segment !== "..") {
      // A service that decodes the slash would find the dot segment afterwards.
      if (/(^|%2F)\.\.?(%2F|;|%3B|$)/.test(segment))
        return refuse("has a dot segment beside an escaped slash");
      kept.push(segment);
      continue;
    }
    if (policy.dotSegments === "reject") return refuse("has a dot segment");
    if (segment === ".." && kept.length < 2) return refuse("leads above the root");
    if (segment === "..") kept.pop();
    if (index === segments.length - 1) kept.push("");
  }
  return { ok: true, path: kept.join("/") };
}

function refuse(what: string): PathResult {
  return { ok: false, problem: `the path ${what}` };
}
