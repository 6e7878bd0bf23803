/** A node's place in its mesh as it is now, for `/snapshot` and `/metrics`. */
import type { InstanceState } from "../../mesh.ts";
import type { Gauge } from "../../telemetry/index.ts";
import type { MeshKnowledge } from "./mesh-view.ts";

export interface MeshStatus {
  readonly identity: string;
  readonly certificateEndsEpochMs: number;
  /** In the order in which they are asked. */
  readonly coordinators: readonly string[];
  readonly feed: "connected" | "not connected";
  /** The version that holds for the node's requests, and the newest that it heard of; null before there is one. */
  readonly document: { readonly live: number | null; readonly known: number | null };
  /** Null before the coordinator was told anything. */
  readonly leaseRenewedEpochMs: number | null;
  readonly instances: readonly CountedInstances[];
}

/** Of one service, as the node heard of them. */
export type CountedInstances = { readonly service: string } & Readonly<Record<InstanceState, number>>;

const states: readonly InstanceState[] = ["healthy", "unhealthy", "draining"];

export function countedInstances(knowledge: MeshKnowledge | null): readonly CountedInstances[] {
  return Object.entries(knowledge?.services ?? {}).flatMap(([service, { instances }]) => {
    if (instances === null) return [];
    const counts = { healthy: 0, unhealthy: 0, draining: 0 };
    for (const { state } of instances.list) counts[state] += 1;
    return [{ service, ...counts }];
  });
}

/** None outside a mesh. */
export function meshGauges(status: MeshStatus | null): readonly Gauge[] {
  if (status === null) return [];
  const { document, feed, instances, leaseRenewedEpochMs } = status;
  return [
    plain(
      "clearway_mesh_feed_connected",
      "1 while the mesh tells this node of changes; 0 while what it knew holds.",
      [feed === "connected" ? 1 : 0],
    ),
    plain(
      "clearway_mesh_document_version",
      "Version of the mesh document that holds for this node's requests.",
      document.live === null ? [] : [document.live],
    ),
    plain(
      "clearway_mesh_document_known_version",
      "Newest version of the mesh document that this node heard of. Above the other one, it is refused here, or not live yet.",
      document.known === null ? [] : [document.known],
    ),
    plain(
      "clearway_mesh_certificate_expiry_seconds",
      "When the certificate of this node's identity ends: seconds since 1970.",
      [status.certificateEndsEpochMs / 1000],
    ),
    plain(
      "clearway_mesh_lease_renewed_seconds",
      "When the coordinator last heard of this node's lease: seconds since 1970.",
      leaseRenewedEpochMs === null ? [] : [leaseRenewedEpochMs / 1000],
    ),
    {
      name: "clearway_mesh_instances",
      help: "Registered instances of each service that this node uses, as it heard of them.",
      labelNames: ["service", "state"],
      samples: instances.flatMap((counts) =>
        states.map((state) => ({ labels: [counts.service, state], value: counts[state] })),
      ),
    },
  ];
}

/** Null outside a mesh. */
export function meshStatusView(status: MeshStatus | null): object | null {
  if (status === null) return null;
  const { certificateEndsEpochMs, leaseRenewedEpochMs, ...shown } = status;
  return {
    ...shown,
    certificateEnds: timeText(certificateEndsEpochMs),
    leaseRenewed: leaseRenewedEpochMs === null ? null : timeText(leaseRenewedEpochMs),
  };
}

function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

function plain(name: string, help: string, values: readonly number[]): Gauge {
  return { name, help, labelNames: [], samples: values.map((value) => ({ labels: [], value })) };
}
