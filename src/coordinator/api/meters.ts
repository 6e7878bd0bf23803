/** What `/metrics` of the coordinator says, in the Prometheus text format 0.0.4. */

/** Reasons that are counted apart; what comes after them is `other`. */
const reasonsMax = 100;

export interface CoordinatorReadings {
  readonly instances: number;
  readonly services: number;
  readonly nodes: number;
  readonly subscribers: number;
  readonly documentVersion: number;
  readonly feedSentBytes: number;
  readonly feedCutOff: number;
  readonly storeFailures: number;
}

export class CoordinatorMeters {
  #joins = 0;
  #renewals = 0;
  #leasesEnded = 0;
  readonly #refusals = new Map<string, number>();

  joined(): void {
    this.#joins += 1;
  }

  renewed(): void {
    this.#renewals += 1;
  }

  leaseEnded(): void {
    this.#leasesEnded += 1;
  }

  refused(reason: string): void {
    const known = this.#refusals.has(reason) || this.#refusals.size < reasonsMax;
    const name = known ? reason : "other";
    this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
  }

  text(readings: CoordinatorReadings): string {
    const gauge = (name: string, help: string, value: number) => family(name, "gauge", { help, value });
    const counter = (name: string, help: string, value: number) => family(name, "counter", { help, value });
    return [
      gauge("instances", "Instances that are registered.", readings.instances),
      gauge("services", "Services that have an instance.", readings.services),
      gauge("nodes", "Nodes that hold a lease.", readings.nodes),
      gauge("subscribers", "Nodes that listen to the feed.", readings.subscribers),
      gauge("document_version", "The version of the mesh document that holds.", readings.documentVersion),
      counter("feed_bytes_total", "Bytes of the feed given to nodes.", readings.feedSentBytes),
      counter("feed_cut_off_total", "Feeds that ended because their node did not read.", readings.feedCutOff),
      counter("leases_ended_total", "Nodes that did not renew their lease.", this.#leasesEnded),
      counter("joins_total", "Nodes that joined.", this.#joins),
      counter("renewals_total", "Certificates that were renewed.", this.#renewals),
      counter("store_failures_total", "Writes that the store did not take.", readings.storeFailures),
      this.#refusalsText(),
    ].join("");
  }

  #refusalsText(): string {
    const name = "clearway_coordinator_refusals_total";
    const lines = [...this.#refusals].map(([reason, count]) => `${name}{reason="${reason}"} ${count}\n`);
    return `# HELP ${name} Requests that were refused.\n# TYPE ${name} counter\n${lines.join("")}`;
  }
}

function family(name: string, type: "gauge" | "counter", { help, value }: { help: string; value: number }) {
  const full = `clearway_coordinator_${name}`;
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
}
