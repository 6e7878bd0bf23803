/** What the claims of a token must say, and how the service gets to know them. */
import { z } from "../../plugin.ts";

export type Claims = Readonly<Record<string, unknown>>;

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const scalars = z.array(scalar).min(1).max(100);
const requirement = z.union(
  [scalar, scalars, z.strictObject({ present: z.literal(true).describe("it is there, whatever it says") })],
  {
    error: "wanted a value, a list of values of which one is enough, or { present: true }",
  },
);

export const requirementsOption = z.record(z.string(), requirement);

type Requirement = z.output<typeof requirement>;

/** The first claim that does not say what it must; null when all do. */
export function unmetClaim(claims: Claims, wanted: Readonly<Record<string, Requirement>>): string | null {
  for (const [name, requirement] of Object.entries(wanted)) {
    const values = valuesOf(name, claimOf(claims, name));
    if (!values.some((value) => meets(value, requirement))) return name;
  }
  return null;
}

function meets(value: unknown, requirement: Requirement): boolean {
  if (Array.isArray(requirement)) return requirement.includes(value as never);
  return typeof requirement === "object" ? requirement.present : value === requirement;
}

/** A list has several; so has `scope`, with spaces between them (RFC 8693, section 4.2). */
function valuesOf(name: string, claim: unknown): readonly unknown[] {
  if (claim === undefined || claim === null) return [];
  if (name === "scope" && typeof claim === "string") return claim.split(" ").filter((one) => one !== "");
  return Array.isArray(claim) ? claim : [claim];
}

function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** As the value of a header; null when the token says nothing of it. */
export function claimText(claims: Claims, name: string): string | null {
  const claim = claimOf(claims, name);
  if (claim === undefined || claim === null) return null;
  const text = Array.isArray(claim)
    ? claim.map((one) => fieldText(plainText(one)).replaceAll(",", "%2C")).join(",")
    : fieldText(plainText(claim));
  return text === "" ? null : text;
}

function plainText(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * Percent-encoded UTF-8 for what a field cannot hold or would not keep - line ends, letters above ASCII, spaces at its
 * ends - and for the percent sign, so that two claims never look alike.
 */
function fieldText(text: string): string {
  return text.toWellFormed().replace(/^ | $|[^ -~]|%/gu, encodeURIComponent);
}

/** Later requests with the same token get the same object. */
export function frozen<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  Object.values(value).forEach(frozen);
  return Object.freeze(value);
}
