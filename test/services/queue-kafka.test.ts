import { describeNeeding, describePlugin, describeQueueBackend, type TestedQueue } from "@heddle/plugin-sdk/testing";
import { afterAll } from "vitest";
import card from "../../plugins/queue-kafka/src/index.ts";
import { KafkaRoom } from "./queue-kafka-setup.ts";
import { sharedService } from "./service.ts";

const kafka = sharedService("kafka");

describeNeeding("kafka", kafka?.where, (where) => {
  describePlugin(card, { config: { brokers: [where], prefix: "test-card" } });

  const rooms = new Map<TestedQueue, KafkaRoom>();
  let last: KafkaRoom | undefined;

  afterAll(async () => {
    for (const room of new Set(rooms.values())) await room[Symbol.asyncDispose]();
  });

  const config = { ackTimeout: "6s", positionDelay: "200ms", fetchWait: "50ms", recordBytes: "100KB" };
  describeQueueBackend("Kafka", {
    create: async () => {
      const room = await new KafkaRoom(where, config).proxied();
      const queue = await room.started();
      rooms.set(queue, room);
      last = room;
      return queue;
    },
    supports: { delayedRetry: true, survivesRestart: true, lag: true },
    reopen: async (queue) => {
      const room = rooms.get(queue) as KafkaRoom;
      await queue[Symbol.asyncDispose]();
      const again = await room.started();
      rooms.set(again, room);
      return again;
    },
    faults: {
      disconnect: async () => last?.cut(),
      reconnect: async () => last?.heal(),
    },
    quietMs: 700,
  });
});
