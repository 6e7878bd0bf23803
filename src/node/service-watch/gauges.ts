/** What the watch knows, for `/metrics`. */
import type { ServiceConfig } from "../../snapshot.ts";
import type { Gauge } from "../../telemetry/index.ts";
import type { ServiceKnowledge } from "./service-watch.ts";

export function watchGauges(
  services: readonly ServiceConfig[],
  knowledge: (service: ServiceConfig) => ServiceKnowledge,
): Gauge[] {
  const known = services.map((service) => ({ name: service.name, ...knowledge(service) }));
  return [
    {
      name: "clearway_endpoint_healthy",
      help: "1 while the endpoint passes its health checks, or was not checked yet; 0 while it does not.",
      labelNames: ["service", "endpoint"],
      samples: known.flatMap(({ name, health }) =>
        [...health].map(([endpoint, { verdict }]) => ({
          labels: [name, endpoint],
          value: verdict === "unhealthy" ? 0 : 1,
        })),
      ),
    },
    {
      name: "clearway_dns_answer_age_seconds",
      help: "Since DNS last said where the service is. It grows while no server answers, and the last answer holds.",
      labelNames: ["service"],
      samples: known.flatMap(({ name, discovery }) =>
        discovery?.source !== "dns" || discovery.ageSeconds === null
          ? []
          : [{ labels: [name], value: discovery.ageSeconds }],
      ),
    },
  ];
}
