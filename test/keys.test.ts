import { expect, test } from "bun:test";
import { type KeyFacts, messageFacts, requestKey } from "../src/keys.ts";

const caller = {
  remoteAddress: "192.0.2.1",
  routeName: "shop",
  identity: "spiffe://store.example/storefront",
  claims: undefined,
};

function facts(changes: Partial<KeyFacts> & { fields?: Record<string, string> } = {}): KeyFacts {
  return { ...caller, query: "", header: (name) => changes.fields?.[name] ?? null, ...changes };
}

test("requestKey reads the caller's address, the route and the proved identity", () => {
  expect(requestKey({ by: "ip" }, facts())).toBe("192.0.2.1");
  expect(requestKey({ by: "route" }, facts())).toBe("shop");
  expect(requestKey({ by: "identity" }, facts())).toBe("spiffe://store.example/storefront");
});

test("requestKey knows no key where there is nothing that tells callers apart", () => {
  expect(requestKey({ by: "ip" }, facts({ remoteAddress: "unknown" }))).toBeNull();
  expect(requestKey({ by: "route" }, facts({ routeName: "" }))).toBeNull();
  expect(requestKey({ by: "identity" }, facts({ identity: null }))).toBeNull();
  expect(requestKey({ by: "header", name: "x-tenant" }, facts())).toBeNull();
  expect(requestKey({ by: "header", name: "x-tenant" }, facts({ fields: { "x-tenant": "" } }))).toBeNull();
  expect(requestKey({ by: "claim", name: "sub" }, facts())).toBeNull();
});

test("requestKey reads a header", () => {
  expect(requestKey({ by: "header", name: "x-tenant" }, facts({ fields: { "x-tenant": "a" } }))).toBe("a");
});

test.each([
  [{ sub: "alice" }, "alice"],
  [{ sub: 7 }, "7"],
  [{ sub: "" }, null],
  [{ sub: ["alice"] }, null],
  [Object.create({ sub: "alice" }), null],
  ["alice", null],
  [null, null],
])("requestKey reads a claim of %p: %p", (claims, wanted) => {
  expect(requestKey({ by: "claim", name: "sub" }, facts({ claims }))).toBe(wanted);
});

test.each([
  ["session=a", "a"],
  ["other=b; session=a; session=c", "a"],
  ["other=session=b;session= a ", "a"],
  ['session="a b"', '"a b"'],
  ["session=a=b==", "a=b=="],
  ["xsession=b; session2=c; Session=d", null],
  ["session", null],
  ["session=", null],
  [";;=;", null],
  ["", null],
])("requestKey reads a cookie of %p: %p", (cookie, wanted) => {
  expect(requestKey({ by: "cookie", name: "session" }, facts({ fields: { cookie } }))).toBe(wanted);
});

test.each([
  ["user=a", "a"],
  ["x=1&user=a&user=b", "a"],
  ["us%65r=a+b%20c", "a b c"],
  ["user", null],
  ["xuser=a", null],
])("requestKey reads a field of the query %p: %p", (query, wanted) => {
  expect(requestKey({ by: "query", name: "user" }, facts({ query }))).toBe(wanted);
});

test("messageFacts reads a request as filters made it", () => {
  const request = new Request("http://shop.example/a?user=b", {
    headers: { "x-tenant": "a", cookie: "s=c" },
  });
  const found = messageFacts(request, caller);
  expect(requestKey({ by: "header", name: "x-tenant" }, found)).toBe("a");
  expect(requestKey({ by: "cookie", name: "s" }, found)).toBe("c");
  expect(requestKey({ by: "query", name: "user" }, found)).toBe("b");
  expect(requestKey({ by: "ip" }, found)).toBe("192.0.2.1");
});
