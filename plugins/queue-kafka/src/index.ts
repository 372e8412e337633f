import { definePlugin, Log, provide, QueueBackend, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { KafkaQueue } from "./kafka-queue.ts";
import { Settings } from "./settings.ts";

export default definePlugin({
  name: "@heddle/queue-kafka",
  sdk: "^1.0",
  summary: "The durable lane on Apache Kafka: partitions owned by the ring, positions in a group that nobody joins.",
  stability: "beta",
  config: Settings,
  requires: { world: World, log: Log },
  provides: [QueueBackend],
  faults,
  metrics: {
    send: {
      kind: "histogram",
      unit: "s",
      help: "Time from the begin of a request to its acknowledgement by all in-sync copies.",
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10],
    },
    batch: {
      kind: "histogram",
      unit: "messages",
      help: "Records that one request made durable.",
      buckets: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384],
    },
    pending: { kind: "gauge", unit: "bytes", help: "Bytes on their way to the brokers." },
    commit: {
      kind: "histogram",
      unit: "s",
      help: "Time to save the positions of this node's readers.",
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10],
    },
    reconnects: {
      kind: "counter",
      unit: "times",
      help: "Producers and readers that failed and were replaced.",
      labels: ["part"],
    },
    throttled: {
      kind: "counter",
      unit: "ms",
      help: "Time that requests waited in the client before they were written, as a broker's quota makes them.",
    },
  },
  register({ config, container, deps, metrics }) {
    provide(container, QueueBackend, () => {
      const meter = {
        send: (seconds: number, records: number) => {
          metrics.send.record(seconds);
          metrics.batch.record(records);
        },
        pending: (bytes: number) => metrics.pending.record(bytes),
        commit: (seconds: number) => metrics.commit.record(seconds),
        reconnect: (part: string) => metrics.reconnects.record(1, { part }),
        throttled: (ms: number) => metrics.throttled.record(ms),
      };
      return new KafkaQueue({ world: deps.world, log: deps.log, settings: config, meter });
    });
  },
  health({ container }) {
    return container.resolve<KafkaQueue>(QueueBackend.token).health();
  },
});
