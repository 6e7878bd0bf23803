/** What a listener's filters get to see. */
import { afterEach, expect, test } from "bun:test";
import { statusOf, values } from "./messages.ts";
import { closeAll, setting } from "./setting.ts";

afterEach(closeAll);

const filters = "    filters: [request-id]";

test("exchange answers a refused path past the listener's filters, and no service hears of it", async () => {
  const { client, proxy, upstream } = await setting({}, { listener: filters });
  const answer = await client.exchange("GET /a/../b HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  expect(statusOf(answer)).toBe(400);
  expect(values(answer, "x-clearway-reason")).toEqual(["bad-path"]);
  expect(values(answer, "x-request-id")).toHaveLength(1);
  expect(proxy.measured).toMatchObject([{ route: "", status: 400, reason: "bad-path" }]);
  expect(upstream.requests).toEqual([]);
});

test("exchange answers a loop past the listener's filters, and no service hears of it", async () => {
  const { client, upstream } = await setting({}, { listener: filters });
  const answer = await client.exchange(
    "GET / HTTP/1.1\r\nHost: shop.example\r\nVia: 1.1 clearway-test\r\nVia: 1.1 other\r\n\r\n",
  );
  expect(statusOf(answer)).toBe(508);
  expect(values(answer, "x-clearway-reason")).toEqual(["loop-detected"]);
  expect(values(answer, "x-request-id")).toHaveLength(1);
  expect(upstream.requests).toEqual([]);
});
