import { expect, test } from "bun:test";
import { ownAddress } from "../../../src/node/mesh/own-address.ts";

/** `names`: addresses of hosts; `ways`: from which address of this machine each is reached, none where there is no way. */
function machine(names: Record<string, readonly string[]>, ways: Record<string, string>) {
  const asked: [string, number][] = [];
  const routes = {
    async addressesOf(host: string) {
      const addresses = names[host];
      if (addresses === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
      return addresses;
    },
    async localAddress(address: string, port: number) {
      asked.push([address, port]);
      const own = ways[address];
      if (own === undefined) throw new Error(`connect ENETUNREACH ${address}`);
      return own;
    },
  };
  const from = (listensOn: string, host = "mesh.internal") =>
    ownAddress(routes, { host, port: 9800 }, listensOn).catch(({ message }: Error) => message);
  return { from, asked };
}

const both = { "mesh.internal": ["fd00::1", "10.0.0.1"] };
const toBoth = { "fd00::1": "fd00::7", "10.0.0.1": "10.0.0.7" };

test("a node on a machine with IPv6 alone is reached where it reaches the coordinator, by name and by address", async () => {
  const names = { "mesh.internal": ["10.0.0.1", "fd00::1"], "fd00::1": ["fd00::1"] };
  const { from, asked } = machine(names, { "fd00::1": "fd00::7" });
  expect(await from("::")).toBe("fd00::7");
  expect(await from("::", "fd00::1")).toBe("fd00::7");
  expect(asked.at(-1)).toEqual(["fd00::1", 9800]);
});

test("a node that listens on both families takes the first way that the machine has", async () => {
  expect(await machine(both, toBoth).from("::")).toBe("fd00::7");
  expect(await machine(both, { "10.0.0.1": "10.0.0.7" }).from("::")).toBe("10.0.0.7");
});

test("a node that listens on IPv4 alone is never said to be at an IPv6 address, on which nobody answers", async () => {
  expect(await machine(both, toBoth).from("0.0.0.0")).toBe("10.0.0.7");
  expect(await machine(both, { "fd00::1": "fd00::7" }).from("0.0.0.0")).toBe(
    "this machine reaches the coordinator at mesh.internal from fd00::7, and --inbound listens on IPv4 alone: " +
      "wanted --inbound [::]:PORT, or --advertise HOST:PORT",
  );
});

test("an address of one link, or none at all, is not one under which others reach a node", async () => {
  const names = { "mesh.internal": ["fe80::1%eth0", "10.0.0.1", "fd00::1"] };
  const link = { "fe80::1%eth0": "fe80::7%eth0", "10.0.0.1": "0.0.0.0" };
  expect(await machine(names, { ...link, "fd00::1": "fd00::7" }).from("::")).toBe("fd00::7");
  expect(await machine(names, link).from("::")).toBe(
    "this machine reaches the coordinator at mesh.internal from fe80::7%eth0 and 0.0.0.0, which others cannot use: " +
      "wanted --advertise HOST:PORT",
  );
});

test("a node says why it does not know where it is reached: no such name, or no way there", async () => {
  expect(await machine({}, {}).from("0.0.0.0")).toBe("getaddrinfo ENOTFOUND mesh.internal");
  expect(await machine(both, {}).from("::")).toBe("connect ENETUNREACH fd00::1");
});
