/** `tools.call`: a filter's own call to a service. */
import { afterEach, describe, expect, test } from "bun:test";
import { defineFilter, type Tools, z } from "../../src/plugin.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { values } from "./messages.ts";
import { okAnswer, type UpstreamScript } from "./recording-upstream.ts";
import { closeAll, proxyTo, upstreamWith } from "./setting.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

async function calling(script: UpstreamScript) {
  let tools: Tools | null = null;
  const filter = defineFilter({
    ...{ name: "calling", summary: "Gives its tools away", options: z.unknown() },
    middleware: (_, given) => {
      tools = given;
      return (_c, next) => next();
    },
  });
  const clock = new VirtualClock();
  const service = await upstreamWith(script);
  const text = { ports: [service.port], listener: "    filters: [calling]" };
  await proxyTo(text, { clock, filters: new Map([["calling", filter]]) });
  const call = (init: RequestInit = {}) => tools!.call("shop", new Request("http://shop.example/a", init));
  return { service, clock, call };
}

describe("tools.call", () => {
  test("says one Host, and nothing of another request's connection", async () => {
    const { service, call } = await calling({ onRequest: () => okAnswer });
    const headers = {
      host: "other.example",
      connection: "close",
      te: "trailers",
      "x-clearway-a": "b",
      "x-kept": "c",
    };
    expect(await (await call({ headers })).text()).toBe("ok");
    const request = await service.request();
    expect(values(request, "host")).toEqual(["shop.example"]);
    expect(values(request, "x-kept")).toEqual(["c"]);
    for (const name of ["connection", "te", "x-clearway-a"]) expect(values(request, name)).toEqual([]);
  });

  test("rejects when no answer came in time", async () => {
    const { service, clock, call } = await calling({ onRequest: () => null });
    const answer = call();
    await service.request();
    clock.advance(15_000);
    await expect(answer).rejects.toMatchObject({ kind: "upstream-timeout" });
  });

  test("is given up by its signal, before the answer and in the middle of it", async () => {
    for (const sent of ["", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nhalf"]) {
      const { service, call } = await calling({ onRequest: () => sent });
      const left = new AbortController();
      const answer = call({ signal: left.signal });
      await service.request();
      if (sent === "") {
        left.abort();
        await expect(answer).rejects.toMatchObject({ kind: "cancelled" });
      } else {
        await answer;
        left.abort();
      }
      await eventually("its end", () => service.connections[0]!.peer !== "open");
      await expect(call({ signal: left.signal })).rejects.toMatchObject({ kind: "cancelled" });
      expect(service.requests).toHaveLength(1);
    }
  });
});
