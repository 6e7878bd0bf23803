import { describe, expect, test } from "bun:test";
import { onLightPair, onNativePair } from "./both-pairs.ts";
import { handlerCases } from "./handler-cases.ts";
import { middlewareCases } from "./middleware-cases.ts";

describe("the lightweight pair does as the real one under", () => {
  for (const { name, uses, request = {}, answer = {} } of [...middlewareCases, ...handlerCases]) {
    test(name, async () => {
      const native = await onNativePair(uses, request, answer);
      expect(await onLightPair(uses, request, answer)).toEqual(native);
    });
  }
});
