import type { Kernel } from "../kernel.ts";
import type { MetricRegistry } from "./metrics.ts";

/** What actors, lanes and the cluster count, read when the metrics are printed. */
export function collectKernelMetrics(metrics: MetricRegistry, kernel: Kernel): void {
  const { actors, ownership, router, lanes } = kernel;
  const byKind = (value: (entry: ReturnType<typeof actors.census>[number]) => number) => () =>
    actors.census().map((entry) => ({ labels: { kind: entry.kind }, value: value(entry) }));
  metrics.gauge(
    "heddle_actor_alive_actors",
    "Actors in memory on this node.",
    byKind(({ alive }) => alive),
  );
  metrics.gauge(
    "heddle_actor_backlog_messages",
    "Messages waiting in mailboxes.",
    byKind(({ backlog }) => backlog),
  );
  metrics.counter("heddle_actor_turns_total", "Turns asked for on this node.", () => actors.counters.turns);
  metrics.counter(
    "heddle_actor_dead_letters_total",
    "Tells that nobody could take.",
    () => actors.counters.deadLetters,
  );
  const lives = ["activations", "failures", "idle", "moved", "stopping"] as const;
  metrics.counter("heddle_actor_lives_total", "Activations, failures, and passivations by reason.", () =>
    [...actors.counters.kinds()].flatMap(([kind, counters]) =>
      lives.map((event) => ({ labels: { kind, event }, value: counters[event] })),
    ),
  );
  metrics.gauge("heddle_cluster_epoch", "Epoch of the newest view.", () => ownership.epoch);
  metrics.gauge("heddle_cluster_members", "Members of the newest view.", () => ownership.members.length);
  metrics.gauge(
    "heddle_cluster_partitions",
    "Partitions that this node serves.",
    () => ownership.servedPartitions.size,
  );
  metrics.counter("heddle_cluster_views_total", "Views received.", () => ownership.counters.views);
  metrics.counter(
    "heddle_cluster_moved_partitions_total",
    "Partitions taken and given up; times that the lease was lost.",
    () =>
      (["gained", "lost", "fenced"] as const).map((event) => ({ labels: { event }, value: ownership.counters[event] })),
  );
  const handOver = metrics.metric("heddle_cluster_handover_seconds", {
    kind: "histogram",
    help: "From the view of a new epoch until what it gives this node is served.",
  });
  ownership.onHandOver = (ms) => handOver.record(ms / 1_000);
  metrics.counter("heddle_remote_frames_total", "Frames between nodes.", () =>
    Object.entries(router.counters).map(([event, value]) => ({ labels: { event }, value })),
  );
  metrics.counter("heddle_lane_published_records_total", "Records published to a lane.", () =>
    [...lanes.counters().published].map(([lane, { published }]) => ({ labels: { lane }, value: published })),
  );
  metrics.gauge("heddle_lane_pending_records", "Records published and not yet durable.", () =>
    [...lanes.counters().published].map(([lane, { pending }]) => ({ labels: { lane }, value: pending })),
  );
  metrics.counter(
    "heddle_lane_consumed_records_total",
    "Records handled, repeated and given up, by lane and group.",
    () =>
      lanes.counters().consumed.flatMap(({ lane, group, counters }) =>
        (["handled", "retried", "skipped"] as const).map((event) => ({
          labels: { lane, group, event },
          value: counters[event],
        })),
      ),
  );
  metrics.gauge("heddle_lane_in_progress_records", "Records whose handlers run.", () =>
    lanes
      .counters()
      .consumed.map(({ lane, group, counters }) => ({ labels: { lane, group }, value: counters.inProgress })),
  );
}
