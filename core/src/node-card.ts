import { hostname } from "node:os";
import {
  Actors,
  Cluster,
  ClusterCoordinator,
  definePlugin,
  Fault,
  Lanes,
  Log,
  optional,
  PeerLink,
  type Plugin,
  provide,
  QueueBackend,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { Kernel } from "./kernel.ts";
import type { ManifestSettings } from "./manifest/schema.ts";

/** Known only after the manifest was read; the card closes over it. */
export interface NodeSlot {
  settings?: ManifestSettings;
  kernel?: Kernel;
}

/** The node as a vertex of the graph: it needs membership and a queue, and gives actors, lanes and the cluster. */
export function nodeCard(slot: NodeSlot): Plugin<any, any, any> {
  return definePlugin({
    name: "@heddle/node",
    sdk: "^1.0",
    summary: "This node's actors, lanes and place in the cluster.",
    stability: "beta",
    config: Type.Object({}, { additionalProperties: false }),
    requires: {
      world: World,
      log: Log,
      coordinator: ClusterCoordinator,
      queue: QueueBackend,
      peer: optional(PeerLink),
    },
    provides: [Actors, Lanes, Cluster],
    register({ container, deps }) {
      const kernel = () => {
        slot.kernel ??= new Kernel({ ...deps, ...placeOf(slot.settings) });
        return slot.kernel;
      };
      provide(container, Actors, () => kernel().actors);
      provide(container, Lanes, () => kernel().lanes);
      provide(container, Cluster, () => kernel().cluster);
    },
    async stop() {
      await slot.kernel?.stop();
    },
  });
}

function placeOf(settings: ManifestSettings | undefined) {
  if (settings === undefined)
    throw new Fault("internal", "node.settings", "the node is used before its manifest was read");
  const { node, cluster } = settings;
  return { id: node.id ?? `${hostname()}-${process.pid}`, roles: node.roles, partitions: cluster.partitions };
}
