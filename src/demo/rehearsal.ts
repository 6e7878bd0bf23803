/** What happens while the demo runs for a while: changes of the mesh document, and two instances that die. */
import { brokenDocument, meshDocument, type Split } from "./documents.ts";
import type { InstanceName } from "./members.ts";

export const firstSplit: Split = [90, 10];
export const secondSplit: Split = [60, 40];

export type Act =
  | { readonly kind: "save"; readonly says: string; readonly document: string; readonly split: Split }
  | { readonly kind: "slip"; readonly says: string; readonly document: string }
  | { readonly kind: "mend"; readonly says: string; readonly document: string }
  | { readonly kind: "kill"; readonly says: string; readonly instances: readonly InstanceName[] };

export interface TimedAct {
  readonly atMs: number;
  readonly act: Act;
}

/** Shorter runs have no time to show a change taking effect. */
const shortestMs = 10_000;

export function rehearsal(forMs: number | null): TimedAct[] {
  if (forMs === null || forMs < shortestMs) return [];
  const next = meshDocument(secondSplit);
  const acts: readonly (readonly [share: number, act: Act])[] = [
    [
      0.3,
      {
        kind: "save",
        says: "saved mesh.yaml: products 90/10 becomes 60/40",
        document: next,
        split: secondSplit,
      },
    ],
    [
      0.55,
      {
        kind: "kill",
        says: "killed accounts-2 and payments-2, sidecars and all",
        instances: ["accounts-2", "payments-2"],
      },
    ],
    [0.7, { kind: "slip", says: "saved mesh.yaml with a slip in it", document: brokenDocument(next) }],
    [0.85, { kind: "mend", says: "saved the right mesh.yaml again", document: next }],
  ];
  return acts.map(([share, act]) => ({ atMs: forMs * share, act }));
}
