/** For which requests the cache gives an answer, and which requests make it forget one (RFC 9111, sections 4.1 and 4.4). */
import { describe, expect, test } from "bun:test";
import { failures } from "../sending/upstream-chain.ts";
import { answer, cachedService, settled, silent } from "./cached-service.ts";

const MINUTE = "Cache-Control: max-age=60";

describe("cache, by Vary (section 4.1)", () => {
  const language = (value: string) => ({ fields: [`Accept-Language: ${value}`] });
  const fields = [MINUTE, "Vary: accept-LANGUAGE, X-B"];

  test("gives an answer to requests that say the same there, and to no others", async () => {
    const service = cachedService();
    await service.get(() => answer(fields, { body: "en" }), language("en, fr"));
    expect((await service.get(silent, language("en ,fr"))).body).toBe("en");
    const other = await service.get(() => answer(fields, { body: "de" }), language("de"));
    expect([other.body, other.said]).toEqual(["de", "fwd=vary-miss; stored"]);
    expect((await service.get(() => answer(fields, { body: "none" }))).body).toBe("none");
    expect((await service.get(() => answer(fields, { body: "empty" }), language(""))).body).toBe("empty");
    const bodies = [language("en,fr"), language("de"), {}, language("")].map((draft) =>
      service.get(silent, draft),
    );
    expect((await Promise.all(bodies)).map(({ body }) => body)).toEqual(["en", "de", "none", "empty"]);
  });

  test("holds at most 32 variants of an address, and gives up the oldest", async () => {
    const service = cachedService();
    for (let i = 0; i < 33; i++)
      await service.get(() => answer(fields, { body: `v${i}` }), language(`l${i}`));
    expect(service.counted("cache_evicted")).toBe(1);
    expect((await service.get(silent, language("l1"))).body).toBe("v1");
    expect((await service.get(() => answer(fields, { body: "new" }), language("l0"))).body).toBe("new");
  });

  test("does not keep what was chosen by more than it can compare", async () => {
    const service = cachedService();
    const long = language("x".repeat(5000));
    expect((await service.get(() => answer(fields), long)).said).toBe("fwd=uri-miss");
    expect(service.counted("cache_not_kept vary")).toBe(1);
  });

  test("keeps routes and services apart, and addresses by scheme, host, port, path and query", async () => {
    const service = cachedService();
    const url = "http://shop.example/a?b=c";
    await service.get(() => answer([MINUTE]), { url });
    for (const draft of [
      { url, route: "other" },
      { url, service: "canary" },
      ...["https://shop.example/a?b=c", "http://shop.example:81/a?b=c", "http://shop.example/a?b=C"].map(
        (other) => ({ url: other }),
      ),
    ])
      expect((await service.get(() => answer([], { body: "other" }), draft)).body).toBe("other");
    for (const same of ["http://SHOP.example/a?b=c", "http://shop.example:80/a?b=c"])
      expect((await service.get(silent, { url: same })).body).toBe("hello");
  });
});

describe("cache, HEAD", () => {
  // The body is left off when it is written: see on-the-wire.test.ts.
  test("is answered from what is kept, and not kept itself", async () => {
    const service = cachedService();
    const head = { method: "HEAD" };
    const first = await service.get(() => answer([MINUTE], { body: "" }), head);
    expect(first.said).toBe("fwd=uri-miss");
    await service.get(() => answer([MINUTE]));
    const second = await service.get(silent, head);
    expect([second.status, second.said]).toEqual([200, "hit; ttl=60"]);
  });
});

describe("cache, invalidation (section 4.4)", () => {
  const at = (url: string, method = "GET") => ({ url, method });
  const shop = "http://shop.example";

  async function afterChange(method: string, fields: readonly string[] = [], status = 200) {
    const service = cachedService();
    const urls = [`${shop}/a`, `${shop}/b`, `${shop}/c`, "http://other.example/b"];
    for (const url of urls) await service.get(() => answer([MINUTE]), at(url));
    const changed = await service.get(() => answer(fields, { status }), at(`${shop}/a`, method));
    expect(changed.said).toBe("fwd=method");
    const again = await Promise.all(
      urls.map((url) => service.get(() => answer([], { body: "new" }), at(url))),
    );
    return again.flatMap(({ body }, i) => (body === "new" ? [urls[i]!.replace(shop, "")] : []));
  }

  test("what a request changed is asked for anew", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "FOO"])
      expect(await afterChange(method)).toEqual(["/a"]);
    expect(await afterChange("POST", ["Location: /b#x", `Content-Location: ${shop}/c`], 303)).toEqual([
      "/a",
      "/b",
      "/c",
    ]);
  });

  test("but not what a safe one asked for, what was refused, or what is another origin's", async () => {
    for (const method of ["OPTIONS", "TRACE"]) expect(await afterChange(method)).toEqual([]);
    for (const status of [404, 500]) expect(await afterChange("POST", ["Location: /b"], status)).toEqual([]);
    expect(await afterChange("POST", ["Location: http://other.example/b", "Content-Location: ::"])).toEqual([
      "/a",
    ]);
  });

  test("reaches other routes, and what is on its way", async () => {
    const service = cachedService();
    await service.get(() => answer([MINUTE]), { route: "other" });
    const held: ((response: Response) => void)[] = [];
    const first = service.chain.begin(() => new Promise((resolve) => held.push(resolve)));
    await settled();
    await service.get(() => answer([]), { method: "POST" });
    held[0]!(answer([MINUTE], { body: "old" }));
    expect(await (await first).text()).toBe("old");
    for (const route of ["orders", "other"])
      expect((await service.get(() => answer([], { body: "new" }), { route })).body).toBe("new");
    expect(service.counted("cache_not_kept changed")).toBe(1);
    expect(service.counted("cache_invalidated")).toBe(1);
  });

  test("a change that failed changes nothing here", async () => {
    const service = cachedService();
    await service.get(() => answer([MINUTE]));
    const failing = service.get(() => Promise.reject(failures.reset()), { method: "POST" });
    await expect(failing).rejects.toThrow("closed");
    expect((await service.get(silent)).body).toBe("hello");
  });
});
