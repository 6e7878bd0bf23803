/**
 * A bucket on a Redis or Valkey server (5.0 or newer), the same as a node's own: one time for each key, in microseconds.
 * A script is atomic there, and the clock is the server's, so nodes need not agree on the time.
 */
import type { Taken } from "../../plugin.ts";

/** Of the epoch: 2026. Counted from there, doubles are fine enough for a million a second. */
const startSeconds = 1_767_225_600;

/**
 * KEYS: the bucket. ARGV: the interval and the capacity in microseconds. Answers with 1 or 0, how many are left, until
 * another one passes, and until there is one more, in microseconds. A time that is further ahead than the capacity and
 * a second is that of another server's clock.
 */
export const bucketScript = `
local time = redis.call("TIME")
local now = (tonumber(time[1]) - ${startSeconds}) * 1000000 + tonumber(time[2])
local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local owed = tonumber(redis.call("GET", KEYS[1]) or now) - now
if owed < 0 or owed > capacity + 1000000 then owed = 0 end
local debt = owed + interval
if debt > capacity + interval * 0.000001 then
  local wait = math.ceil(debt - capacity)
  return { 0, 0, wait, wait }
end
redis.call("SET", KEYS[1], string.format("%.3f", now + debt), "PX", math.ceil(debt / 1000))
local free = (capacity - debt) / interval + 0.000001
local remaining = math.floor(free)
return { 1, remaining, 0, math.max(0, math.ceil((remaining + 1 - free) * interval)) }
`;

/** Throws an Error when it is no answer of the script. */
export function takenOf(reply: unknown): Taken {
  if (!Array.isArray(reply) || reply.length !== 4 || !reply.every(Number.isSafeInteger)) {
    throw new Error("it answered with something else than four whole numbers");
  }
  const [allowed, remaining, retryAfterUs, resetUs] = reply as [number, number, number, number];
  return { allowed: allowed === 1, remaining, retryAfterMs: retryAfterUs / 1000, resetMs: resetUs / 1000 };
}
