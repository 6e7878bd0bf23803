import { expect, test } from "bun:test";
import { RecentDelays } from "../../../src/filters/sending/recent-delays.ts";

test("RecentDelays knows nothing before 20 answers, then what a share of them took at most", () => {
  const delays = new RecentDelays(0.95);
  for (let answer = 1; answer < 20; answer++) delays.add(answer);
  expect(delays.atShareMs).toBeNull();
  delays.add(20);
  expect(delays.atShareMs).toBe(19);
});

test("RecentDelays looks at the last 200 answers only", () => {
  const delays = new RecentDelays(0.95);
  for (let answer = 0; answer < 1000; answer++) delays.add(5000);
  for (let answer = 1; answer <= 180; answer++) delays.add(1);
  expect(delays.atShareMs).toBe(5000);
  for (let answer = 1; answer <= 20; answer++) delays.add(1);
  expect(delays.atShareMs).toBe(1);
});
