import { describe, expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import canary from "./canary.ts";

const services = { "orders-next": () => new Response("next") };
const setting = { services, service: () => new Response("old") };

function cookieOf(response: Response): string | null {
  return response.headers.get("set-cookie");
}

describe("canary", () => {
  test("sends the share of the callers to the other service", async () => {
    await using filter = testFilter(canary, { to: "orders-next", percent: 20 }, setting);
    let canaries = 0;
    for (let caller = 0; caller < 500; caller += 1) {
      if ((await (await filter.request("/")).text()) === "next") canaries += 1;
    }
    // Of 500 at 20%: the sequence is the same in every run.
    expect(canaries).toBeWithin(75, 126);
    expect(filter.ended.filter(({ service }) => service === "orders-next").length).toBe(canaries);
    expect(filter.counted("canary_requests", { to: "orders-next" })).toBe(canaries);
    expect(filter.counted("canary_requests", { to: "orders" })).toBe(500 - canaries);
  });

  test("keeps a caller where the cookie says, and sets none twice", async () => {
    await using filter = testFilter(canary, { to: "orders-next", percent: 50 }, setting);
    for (let caller = 0; caller < 20; caller += 1) {
      const first = await filter.request("/");
      const [pair = ""] = cookieOf(first)!.split(";");
      const name = await first.text();
      const second = await filter.request("/", { headers: { cookie: `a=1; ${pair}; b=2` } });
      expect([await second.text(), cookieOf(second)]).toEqual([name, null]);
    }
  });

  test("takes further callers along when its share grows, and lets all go at 0%", async () => {
    await using filter = testFilter(canary, { to: "orders-next", percent: 10 }, setting);
    const ask = async (number: number) =>
      (await filter.request("/", { headers: { cookie: `canary=${number}` } })).text();
    expect([await ask(999), await ask(1000)]).toEqual(["next", "old"]);
    await filter.reload({ to: "orders-next", percent: "50%" });
    expect([await ask(999), await ask(1000), await ask(5000)]).toEqual(["next", "next", "old"]);
    await filter.reload({ to: "orders-next", percent: 0 });
    expect([await ask(0), await ask(999)]).toEqual(["old", "old"]);
    await filter.reload({ to: "orders-next", percent: "0.01%" });
    expect([await ask(0), await ask(1)]).toEqual(["next", "old"]);
  });

  test("lets testers choose, and takes no other cookie for an answer", async () => {
    await using filter = testFilter(canary, { to: "orders-next", percent: 0 }, setting);
    const ask = async (cookie: string) => filter.request("/", { headers: { cookie } });
    expect(await (await ask("canary=always")).text()).toBe("next");
    await filter.reload({ to: "orders-next", percent: 100 });
    expect(await (await ask("canary=never")).text()).toBe("old");
    for (const cookie of ["canary=10000", "canary=-1", "canary=", "canary=yes", "mycanary=never", "canary"]) {
      const response = await ask(cookie);
      expect([await response.text(), cookieOf(response)?.startsWith("canary=")]).toEqual(["next", true]);
    }
  });

  test("sets a cookie that scripts and other sites do not see, for as long as it says", async () => {
    await using filter = testFilter(
      canary,
      { to: "orders-next", percent: 10, cookie: "next", remember: "2h" },
      { ...setting, random: () => 0.1234 },
    );
    const plain = await filter.request("http://shop.example/");
    expect(cookieOf(plain)).toBe("next=1234; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax");
  });

  test("keeps the cookies that the service sets", async () => {
    const service = () =>
      new Response("old", {
        headers: [
          ["set-cookie", "session=1"],
          ["set-cookie", "b=2"],
        ],
      });
    await using filter = testFilter(canary, { to: "orders-next", percent: 0 }, { services, service });
    const cookies = (await filter.request("/")).headers.getSetCookie();
    expect(cookies.map((cookie) => cookie.split("=")[0])).toEqual(["session", "b", "canary"]);
  });

  test("is tried again by a retry inside of it, at the same service", async () => {
    const failing = (_request: Request, { count }: { readonly count: number }) =>
      new Response("next", { status: count === 2 ? 503 : 200 });
    await using filter = testFilter(
      canary,
      { to: "orders-next", percent: 100 },
      { services: { "orders-next": failing }, after: [{ retry: { attempts: 2 } }] },
    );
    await filter.request("/");
    // So that the retry's budget has something in it.
    await filter.clock.advance(1000);
    expect((await filter.request("/")).status).toBe(200);
    const services = filter.received.map(({ service }) => service);
    expect(services).toEqual(["orders-next", "orders-next", "orders-next"]);
  });

  test("wants a cookie that can be set", () => {
    const wrong = { to: "orders-next", percent: 1, cookie: "a b" };
    expect(() => testFilter(canary, wrong, setting)).toThrow("wanted the name of a cookie");
  });
});
