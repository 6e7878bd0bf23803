import { describe, expect, test } from "bun:test";
import { honoApp, onLightPair, onNativePair } from "./both-pairs.ts";
import { handlerCases } from "./handler-cases.ts";

describe("the lightweight pair does as the real one under", () => {
  for (const { name, uses, request = {}, answer = {} } of handlerCases) {
    test(name, async () => {
      const native = await onNativePair(honoApp(uses), request, answer);
      expect(await onLightPair(honoApp(uses), request, answer)).toEqual(native);
    });
  }
});
