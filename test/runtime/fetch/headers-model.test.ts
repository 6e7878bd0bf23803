import { expect, test } from "bun:test";
import fc from "fast-check";
import { editsOf, LightHeaders } from "../../../src/runtime/fetch/headers.ts";
import { NativeHeaders } from "../../../src/runtime/fetch/natives.ts";
import { written } from "./both-pairs.ts";
import { responseFrom } from "./messages.ts";

const name = fc.constantFrom("a", "A", "x-b", "X-B", "Set-Cookie", "set-cookie", "Cookie", "content-type");
const value = fc.stringMatching(/^[!-~\u00a1-\u00ff]([ -~]*[!-~])?$/);
const operation = fc.record({ kind: fc.constantFrom("set", "append", "delete", "copy"), name, value });

const sorted = (headers: Iterable<readonly [string, string]>) =>
  [...headers].map((pair) => pair.join(": ")).sort();

test("Headers behaves as the real one after any changes, and writes what it says", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value), { maxLength: 8 }),
      fc.array(operation, { maxLength: 8 }),
      (fields, operations) => {
        let light = responseFrom(fields.map((field) => field.join(": "))).headers as unknown as LightHeaders;
        let native = new NativeHeaders(fields);
        for (const { kind, name, value } of operations) {
          if (kind === "copy") {
            const before = light;
            light = new LightHeaders(light);
            before.set(name, value);
            native = new NativeHeaders(native);
          } else if (kind === "delete") for (const headers of [light, native]) headers.delete(name);
          else for (const headers of [light, native]) headers[kind as "set" | "append"](name, value);
        }
        expect(sorted(light)).toEqual(sorted(native));
        expect(light.getSetCookie()).toEqual(native.getSetCookie());
        const pairs = written(editsOf(light));
        const again = new NativeHeaders();
        for (let i = 0; i < pairs.length; i += 2) again.append(pairs[i]!, pairs[i + 1]!);
        expect(sorted(again)).toEqual(sorted(native));
      },
    ),
    { seed: 20_261_123, numRuns: 500 },
  );
});
