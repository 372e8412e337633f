import type { CallOptions, ClusterStatus, QueueBackend } from "@heddle/plugin-sdk";
import type { LaneCounters } from "../lane/lanes.ts";
import type { Ownership } from "./ownership.ts";

/** The newest view, who owns how much of it, and how far the lanes are behind. */
export async function clusterStatus(
  parts: { readonly ownership: Ownership; readonly queue: QueueBackend; readonly lanes: LaneCounters },
  call: CallOptions,
): Promise<ClusterStatus> {
  const { ownership, queue, lanes } = parts;
  const { self, epoch, partitions, members } = ownership;
  const owned = new Map<string, number>();
  for (const owner of ownership.owners) if (owner !== undefined) owned.set(owner, (owned.get(owner) ?? 0) + 1);
  const lag = async (lane: string, group: string) => {
    const each = await queue.lag?.({ topic: lane, group }, call);
    return each?.reduce((sum, one) => sum + one, 0);
  };
  return {
    self,
    epoch,
    partitions,
    members: members.map(({ id, incarnation, address, roles, drained }) => {
      return { id, incarnation, address, roles, drained, partitions: owned.get(id) ?? 0 };
    }),
    serving: ownership.servedPartitions.size,
    lanes: await Promise.all(
      lanes.consumed.map(async ({ lane, group }) => ({ lane, group, lag: await lag(lane, group) })),
    ),
  };
}
