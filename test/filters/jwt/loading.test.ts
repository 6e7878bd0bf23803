import { expect, test } from "bun:test";
import { root, start } from "../../program.ts";

/** Prints whether jose is loaded: after all filters are known, and after one is made. */
const script = `
  const { filters } = await import("./src/filters/index.ts");
  const loaded = () => Object.keys(require.cache).some((path) => path.includes("/node_modules/jose/"));
  console.log(loaded());
  const options = { issuer: "a", audience: "b", jwks: '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}' };
  const jwt = filters.get("jwt");
  const middleware = jwt.middleware(jwt.options.parse(options), { metrics: { count() {} } });
  const headers = new Headers({ authorization: "Bearer a.b.c" });
  await middleware({ req: { raw: { headers } } }, () => {});
  console.log(loaded());
`;

test("jose is loaded where jwt is used, and nowhere else", async () => {
  const running = start([process.execPath, "-e", script], { folder: root });
  expect([await running.ended, running.output()]).toEqual([0, "false\ntrue\n"]);
});
