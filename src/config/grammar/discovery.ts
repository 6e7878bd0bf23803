/** The grammar of what the node finds out about services by itself: their addresses by DNS, and their health. */
import { z } from "zod";
import { duration } from "../../units.ts";
import { dnsNameAndPort, dnsNameOnly, serverAddress } from "../address.ts";
import { pathAndQuery, rewriteHost } from "../pattern.ts";
import { count, deadline } from "./values.ts";

export const resolverServersMax = 8;

const refresh = (text: string) => duration({ minMs: 100 }).prefault(text);

const dnsFields = z.strictObject({
  name: dnsNameOnly().describe("The name to look up"),
  port: count(1, 65_535).describe("The port of its addresses; SRV records name ports themselves").optional(),
  refreshMin: refresh("1s").describe("It is not looked up more often than this, whatever its time to live"),
  refreshMax: refresh("5m").describe("It is looked up at least this often, whatever its time to live"),
});

/** NAME:PORT for addresses (A and AAAA), NAME for SRV records. */
export const dnsGrammar = z.union([dnsNameAndPort(), dnsFields]);
export const dnsDefaults = dnsFields.omit({ name: true, port: true });

export const healthCheckGrammar = z.strictObject({
  path: pathAndQuery()
    .describe("What is asked for; an answer from 200 to 399 is well. Without it a connection is enough")
    .optional(),
  host: rewriteHost().describe("The Host to send; the endpoint's address without it").optional(),
  interval: duration({ minMs: 100 }).prefault("5s").describe("Between two checks of one endpoint"),
  timeout: deadline().prefault("1s").describe("Until the answer's head"),
  healthy: count(1, 100).default(2).describe("Answers in a row after which an unhealthy endpoint is healthy"),
  unhealthy: count(1, 100)
    .default(3)
    .describe("Failures in a row after which a healthy endpoint is unhealthy"),
});

export const resolverGrammar = z.strictObject({
  servers: z
    .array(serverAddress())
    .max(resolverServersMax)
    .default([])
    .describe("DNS servers, tried in this order: IP or IP:PORT; without any, those of /etc/resolv.conf"),
  timeout: duration({ minMs: 10, maxMs: 60_000 })
    .prefault("1s")
    .describe("How long each server has to answer; each is asked twice"),
});
