import { expect, test } from "bun:test";
import { defineFilter, z } from "clearway/plugin";
import { testFilter } from "clearway/plugin/test";

const passing = defineFilter({
  name: "passing",
  summary: "Does nothing",
  options: z.strictObject({}),
  middleware: () => (_c, next) => next(),
});

const mebibyte = 1024 * 1024;

test("bodies of many mebibytes pass both ways, and come back whole", async () => {
  await using filter = testFilter(
    passing,
    {},
    {
      service: async (request) => new Response(new Uint8Array(await request.arrayBuffer()).reverse()),
    },
  );
  const body = new Uint8Array(5 * mebibyte).map((_, index) => index % 251);
  const response = await filter.request("/", { method: "POST", body });
  const back = new Uint8Array(await response.arrayBuffer());
  expect(Bun.hash(back.reverse())).toBe(Bun.hash(body));
});

test("an answer that is read slowly holds the service back", async () => {
  let made = 0;
  await using filter = testFilter(
    passing,
    {},
    {
      service: () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              made += 64 * 1024;
              controller.enqueue(new Uint8Array(64 * 1024));
              if (made >= 64 * mebibyte) controller.close();
            },
          }),
        ),
    },
  );
  const response = await filter.request("/");
  const reader = response.body!.getReader();
  await reader.read();
  await filter.clock.advance(10);
  expect(made).toBeLessThan(4 * mebibyte);
  await reader.cancel();
  await filter.clock.advance(10);
  expect(made).toBeLessThan(4 * mebibyte);
});

test("requests at the same time have answers of their own", async () => {
  await using filter = testFilter(
    passing,
    {},
    {
      service: async (request, { wait }) => {
        const { pathname } = new URL(request.url);
        await wait(100 - Number(pathname.slice(1)));
        return new Response(pathname);
      },
    },
  );
  const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
  const answers = await Promise.all(paths.map(async (path) => (await filter.request(path)).text()));
  expect([answers, filter.clock.now()]).toEqual([paths, 100]);
});

test("HEAD has no body, 204 and 304 have none, and statuses of no name pass", async () => {
  await using filter = testFilter(
    passing,
    {},
    {
      service: (request) => {
        const status = Number(new URL(request.url).pathname.slice(1));
        return new Response(status === 204 || status === 304 ? null : "body", { status });
      },
    },
  );
  const head = await filter.request("/200", { method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "4", ""]);
  for (const [status, text] of [
    [204, ""],
    [304, ""],
    [404, "body"],
    [599, "body"],
  ] as const) {
    const response = await filter.request(`/${status}`);
    expect([response.status, await response.text()]).toEqual([status, text]);
  }
});

test("a test ends while answers are on their way and bodies are unread", async () => {
  const filter = testFilter(
    passing,
    {},
    {
      service: (_request, { count, wait }) =>
        count === 1
          ? new Response(new Uint8Array(mebibyte))
          : wait(3_600_000).then(() => new Response("never")),
      time: "stands",
    },
  );
  await filter.request("/unread");
  const waiting = filter.request("/waiting");
  waiting.catch(() => {});
  await filter.clock.advance(0);
  await filter.close();
  expect(waiting).rejects.toThrow();
  expect(filter.request("/late")).rejects.toThrow("connection refused");
});

test("two tests at the same time know nothing of each other", async () => {
  await using one = testFilter(passing, {}, { service: () => new Response("one") });
  await using two = testFilter(passing, {}, { service: () => new Response("two") });
  const answers = await Promise.all([one.request("/"), two.request("/")]);
  expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(["one", "two"]);
  await one.clock.advance(1000);
  expect([one.received.length, two.received.length, two.clock.now()]).toEqual([1, 1, 0]);
});

test("a day passes in a moment", async () => {
  const ticking = defineFilter({
    name: "ticking",
    summary: "Counts hours",
    options: z.strictObject({}),
    middleware: (_options, { clock, onClose }) => {
      let hours = 0;
      onClose(clock.every(3_600_000, () => hours++));
      return async (c) => c.text(String(hours));
    },
  });
  await using filter = testFilter(ticking);
  await filter.request("/");
  await filter.clock.advance(24 * 3_600_000);
  expect(await (await filter.request("/")).text()).toBe("24");
});

test("time stands between two pieces of an answer while nobody waits for the next one", async () => {
  await using filter = testFilter(
    passing,
    {},
    {
      service: (_request, { wait }) =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              await wait(1000);
              controller.enqueue(new TextEncoder().encode("data: tick\n\n"));
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        ),
    },
  );
  const reader = (await filter.request("/")).body!.getReader();
  await reader.read();
  expect(filter.clock.now()).toBe(1000);
  await Bun.sleep(20);
  expect(filter.clock.now()).toBe(1000);
  await filter.clock.advance(500);
  await reader.read();
  expect(filter.clock.now()).toBe(2000);
  await reader.cancel();
});
