/** A version of the mesh document as stores keep it, and how many of them: the newest ones that fit. */
import type { DocumentVersion, VersionSummary } from "../../mesh.ts";

export interface VersionLimits {
  readonly versions: number;
  /** Of all of them, of their contents in UTF-8. */
  readonly versionBytes: number;
}

export interface KeptVersion {
  readonly summary: VersionSummary;
  /** All else, as JSON. */
  readonly content: string;
}

export function keptVersion({
  version,
  appliedEpochMs,
  by,
  restores,
  ...content
}: DocumentVersion): KeptVersion {
  return { summary: { version, appliedEpochMs, by, restores }, content: JSON.stringify(content) };
}

export function documentVersion({ summary, content }: KeptVersion): DocumentVersion {
  return { ...summary, ...(JSON.parse(content) as Omit<DocumentVersion, keyof VersionSummary>) };
}

/** This version, and all before it, are to be forgotten; 0 for none. The newest one is always kept: it is the one that holds. */
export function forgottenUpTo(
  newestFirst: Iterable<{ readonly version: number; readonly bytes: number }>,
  { versions, versionBytes }: VersionLimits,
): number {
  let [count, bytes] = [0, 0];
  for (const one of newestFirst) {
    count += 1;
    bytes += one.bytes;
    if (count > 1 && (count > versions || bytes > versionBytes)) return one.version;
  }
  return 0;
}
