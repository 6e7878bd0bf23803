import { expect, test } from "bun:test";
import { runCommandLine, type Verbs } from "../../src/cli/command-line.ts";
import type { OperatorCalls } from "../../src/cli/operator.ts";

async function obey(text: string, answer: () => Promise<unknown>) {
  const said = { out: "", error: "", asked: [] as unknown[] };
  const terminal = {
    out: (line: string) => {
      said.out += `${line}\n`;
    },
    error: (line: string) => {
      said.error += `${line}\n`;
    },
    interactive: { out: false, error: false },
  };
  const operator = async (coordinator: string) =>
    ({
      post: (path: string, body: object) => {
        said.asked.push([coordinator, path, body]);
        return answer();
      },
    }) as unknown as OperatorCalls;
  const token = { terminal, operator, durations: () => import("../../src/units.ts") };
  const verbs = { plugin: {}, run: {}, check: {}, token } as unknown as Verbs;
  const code = await runCommandLine({ args: text.split(" "), version: "1.2.3", terminal }, verbs);
  return { code, ...said };
}

const answer = async () => ({ token: "a.b.c", expiresEpochMs: Date.UTC(2026, 10, 30, 3) });

test("token create prints the token alone on stdout, and what it is good for on stderr", async () => {
  expect(await obey("token create --service payments", answer)).toEqual({
    code: 0,
    out: "a.b.c\n",
    error: "a join token for nodes of payments, good once until 2026-11-30T03:00:00.000Z:\n",
    asked: [["https://127.0.0.1:9800", "/v1/tokens", { service: "payments", ttlMs: 600_000, uses: 1 }]],
  });
  const { asked } = await obey(
    "token create --service payments --ttl 2h --uses 20 --coordinator https://10.0.0.1:9800",
    answer,
  );
  expect(asked).toEqual([
    ["https://10.0.0.1:9800", "/v1/tokens", { service: "payments", ttlMs: 7_200_000, uses: 20 }],
  ]);
});

test("token rotate says what is void, where the next token is, and tells no token", async () => {
  const { code, out, asked } = await obey("token rotate --coordinator 10.0.0.1:9800", async () => ({}));
  expect([code, asked]).toEqual([0, [["10.0.0.1:9800", "/v1/tokens/rotation", {}]]]);
  expect(out).toContain("every token that was made until now is void");
  expect(out).toContain(".clearway/operator.token");
});

test("token create says what it cannot read, and asks nobody", async () => {
  const wrong = {
    "token create": "required option '--service <name>' not specified",
    "token create --service a --uses 0": "wanted 1 to 100000",
    "token create --service a --uses 1.5": "wanted 1 to 100000",
    "token create --service a --ttl soon": 'cannot read "soon" after --ttl: wanted a duration',
    "token create --service a --ttl 1ms": "from 1s to 720h",
  };
  for (const [text, message] of Object.entries(wrong)) {
    const { code, out, error, asked } = await obey(text, answer);
    expect([code, out, asked]).toEqual([1, "", []]);
    expect(error).toContain(message);
  }
});

test("token create passes on why it was refused", async () => {
  const { code, out, error } = await obey("token create --service payments", async () => {
    throw new Error("cannot reach the coordinator at https://127.0.0.1:9800: connection refused");
  });
  expect([code, out]).toEqual([1, ""]);
  expect(error).toBe(
    "clearway: cannot reach the coordinator at https://127.0.0.1:9800: connection refused\n",
  );
});
