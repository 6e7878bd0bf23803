/** A registry whose changes its feed tells, in virtual time. */
import { Feed } from "../../../src/coordinator/feed/feed.ts";
import { Registry } from "../../../src/coordinator/registry/registry.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";

export const fedMesh = {
  trustDomain: "store.example",
  egress: "allow",
  removed: [] as string[],
  roots: "PEM",
} as const;

export class FedRegistry {
  readonly clock = new VirtualClock();
  readonly registry = new Registry({
    clock: this.clock,
    changed: (change) => this.feed.instancesChanged(change),
  });
  readonly feed: Feed = new Feed({
    clock: this.clock,
    random: new SeededRandom(1),
    registry: this.registry,
    mesh: fedMesh,
  });
}
