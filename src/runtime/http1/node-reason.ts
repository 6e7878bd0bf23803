import { spells } from "./characters.ts";
import { FieldKind } from "./fields.ts";
import { FIELD_STRIDE, type Head } from "./head.ts";

const NAME = "x-clearway-reason";

/** Why another node answered by itself: its word is passed on, where a service's own under that name would be dropped. */
export function keepNodeReason({ bytes, offsets, kinds, count }: Head): void {
  for (let i = 0; i < count; i++) {
    if (kinds[i] !== FieldKind.Internal) continue;
    const [start, end] = [offsets[i * FIELD_STRIDE]!, offsets[i * FIELD_STRIDE + 1]!];
    if (end - start === NAME.length && spells(bytes, start, end, NAME)) kinds[i] = FieldKind.EndToEnd;
  }
}
