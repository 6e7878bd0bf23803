/** The cache beside a plain model of RFC 9111 that knows only what was sent, what came, and what time it is. */
import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../seeded-random.ts";
import { answer, cachedService } from "./cached-service.ts";

interface Kept {
  readonly body: string;
  readonly atMs: number;
  readonly lifetimeMs: number;
  readonly validation: boolean;
  readonly windowMs: number;
  readonly language: string | null;
}

/** One directive, or none, each time. */
const said = [
  { text: "max-age=10", lifetimeMs: 10_000 },
  { text: "max-age=10, s-maxage=20", lifetimeMs: 20_000 },
  { text: "max-age=5, stale-while-revalidate=10", lifetimeMs: 5000, windowMs: 10_000 },
  { text: "max-age=5, stale-while-revalidate=10, must-revalidate", lifetimeMs: 5000 },
  { text: "no-cache", lifetimeMs: 0, validation: true },
  { text: "max-age=10, no-store", lifetimeMs: null },
  { text: "private, max-age=10", lifetimeMs: null },
  { text: "public", lifetimeMs: null },
] as const;

describe("cache, beside a model", () => {
  for (let seed = 1; seed <= 20; seed++) {
    test(`says the same in 300 requests (seed ${seed})`, async () => {
      const random = new SeededRandom(seed);
      const one = <T>(of: readonly T[]): T => of[Math.floor(random.fraction() * of.length)]!;
      const service = cachedService();
      const { clock } = service.chain.parts;
      const kept = new Map<string, Kept[]>();
      for (let step = 0; step < 300; step++) {
        service.pass(Math.floor(random.fraction() * 4000));
        const url = `http://shop.example/${one([1, 2, 3])}`;
        const language = one([null, "en", "de"]);
        const method = one(["GET", "GET", "GET", "GET", "HEAD", "POST"]);
        const fields = language === null ? [] : [`Accept-Language: ${language}`];
        const noCache = random.fraction() < 0.1;
        if (noCache) fields.push("Cache-Control: no-cache");
        const { text, ...about } = one(said);
        const varies = random.fraction() < 0.5;
        const body = method === "HEAD" ? "" : `body ${step}`;
        const told = [`Cache-Control: ${text}`, 'ETag: "a"', ...(varies ? ["Vary: Accept-Language"] : [])];
        const got = await service.get(() => answer(told, { body }), { method, url, fields });

        const nowMs = clock.now();
        const variants = kept.get(url) ?? [];
        const fitting = variants.find(
          (each) => each.language === null || each.language === (language ?? "none"),
        );
        const ageMs = fitting === undefined ? 0 : nowMs - fitting.atMs;
        const isFresh =
          fitting !== undefined && !fitting.validation && !noCache && ageMs < fitting.lifetimeMs;
        const mayBeStale =
          fitting !== undefined &&
          !fitting.validation &&
          !noCache &&
          ageMs < fitting.lifetimeMs + fitting.windowMs;
        const keep = () => {
          const chosenBy = varies ? (language ?? "none") : null;
          if (about.lifetimeMs === null) {
            kept.set(
              url,
              variants.filter((each) => each !== fitting),
            );
            return;
          }
          const now: Kept = {
            body,
            atMs: nowMs,
            lifetimeMs: about.lifetimeMs,
            validation: "validation" in about,
            windowMs: "windowMs" in about ? about.windowMs : 0,
            language: chosenBy,
          };
          kept.set(url, [now, ...variants.filter((each) => each.language !== chosenBy)]);
        };
        const label = `step ${step}: ${method} ${url}`;
        if (method === "POST") {
          expect([label, got.sent.length, got.body]).toEqual([label, 1, body]);
          kept.delete(url);
        } else if (isFresh) {
          expect([label, got.sent.length, got.body]).toEqual([label, 0, fitting.body]);
        } else if (mayBeStale) {
          expect([label, got.body]).toEqual([label, fitting.body]);
          expect(got.sent.map(({ change }) => change.detached)).toEqual([true]);
          keep();
        } else {
          expect([label, got.sent.length, got.body]).toEqual([label, 1, body]);
          if (method === "GET") keep();
        }
      }
    });
  }
});
