import { Bytes, Duration, definePlugin, Log, provide, QueueBackend, Type, World } from "@heddle/plugin-sdk";
import { openDirectory } from "./disk.ts";
import { EmbeddedQueue } from "./embedded-queue.ts";
import { faults } from "./faults.ts";
import { lockDirectory } from "./lock.ts";

export default definePlugin({
  name: "@heddle/queue-embedded",
  sdk: "^1.0",
  summary: "A durable partitioned queue inside the process: one log on local disk, no broker.",
  stability: "beta",
  oneProcess: true,
  config: Type.Object(
    {
      dir: Type.String({
        default: "./data/queue",
        minLength: 1,
        description: "Directory of the log; one process at a time.",
      }),
      segmentBytes: Bytes({
        default: "64MB",
        description: "Size at which a new file is begun; old ones are deleted whole.",
      }),
      tailBytes: Bytes({
        default: "16MB",
        description: "Newest part of the log kept in memory for readers that keep up.",
      }),
      pendingBytes: Bytes({ default: "32MB", description: "Bytes on their way to the disk; beyond it `send` waits." }),
      recordBytes: Bytes({ default: "1MB", description: "Largest record with key and headers." }),
      positionDelay: Duration({
        default: "100ms",
        description: "Longest time a reader's progress stays in memory only.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [QueueBackend],
  faults,
  metrics: {
    commit: {
      kind: "histogram",
      unit: "s",
      help: "Time from the write of a commit to its sync.",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2],
    },
    batch: {
      kind: "histogram",
      unit: "messages",
      help: "Records that became durable together.",
      buckets: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384],
    },
    pending: { kind: "gauge", unit: "bytes", help: "Bytes on their way to the disk or waiting for room." },
    log: { kind: "gauge", unit: "bytes", help: "Size of the log on disk." },
  },
  register({ config, container, deps, metrics }) {
    const { dir, segmentBytes, tailBytes, recordBytes } = config;
    provide(container, QueueBackend, () => {
      const limits = {
        segmentBytes,
        tailBytes,
        recordBytes,
        pendingBytes: Math.max(config.pendingBytes, recordBytes),
        positionDelayMs: config.positionDelay,
      };
      const meter = {
        commit: (seconds: number, records: number) => {
          metrics.commit.record(seconds);
          metrics.batch.record(records);
        },
        sizes: (pendingBytes: number, logBytes: number) => {
          metrics.pending.record(pendingBytes);
          metrics.log.record(logBytes);
        },
      };
      return new EmbeddedQueue({ world: deps.world, log: deps.log, limits, meter }, async () => {
        const lock = await lockDirectory(dir, deps.world);
        return { disk: await openDirectory(dir), [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() };
      });
    });
  },
  health({ container }) {
    return container.resolve<EmbeddedQueue>(QueueBackend.token).health();
  },
});
