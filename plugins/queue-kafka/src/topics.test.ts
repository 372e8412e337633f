import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import type { Admin } from "kafkajs";
import { expect, it } from "vitest";
import type { Link } from "./link.ts";
import { Topics, type TopicsOptions } from "./topics.ts";

const unknownTopic = Object.assign(new Error("This server does not host this topic-partition"), {
  name: "KafkaJSProtocolError",
  type: "UNKNOWN_TOPIC_OR_PARTITION",
  retriable: true,
});

/** A cluster in which another node has just made the topic: each question is refused so many times. */
function cluster(refusals: number, ackTimeout: number) {
  const asked = { metadata: 0, configs: 0 };
  const admin = {
    listTopics: async () => ["test.jobs"],
    fetchTopicMetadata: async () => {
      if (++asked.metadata <= refusals) throw unknownTopic;
      return { topics: [{ name: "test.jobs", partitions: [{ partitionId: 0, leader: 1 }] }] };
    },
    describeConfigs: async () => {
      if (++asked.configs <= refusals) throw unknownTopic;
      const configEntries = [
        { configName: "max.message.bytes", configValue: "2000000" },
        { configName: "retention.ms", configValue: "1000" },
      ];
      return { resources: [{ resourceName: "test.jobs", configEntries }] };
    },
  };
  const topics = new Topics({
    world: realWorld(),
    log: silentLog,
    admins: { get: async () => admin as unknown as Admin, drop() {} } as unknown as Link<Admin>,
    names: { topic: (name: string) => `test.${name}` } as TopicsOptions["names"],
    settings: { recordBytes: 1_000_000, ackTimeout } as TopicsOptions["settings"],
  });
  const ensure = () =>
    topics.ensure([{ name: "jobs", partitions: 1, retainMs: 1_000 }], { signal: new AbortController().signal });
  return { ensure, asked };
}

it("a topic that another node has just made is waited for until all brokers know it", async () => {
  const { ensure, asked } = cluster(2, 5_000);
  expect((await ensure()).get("jobs")).toEqual({ name: "test.jobs", leaders: [1] });
  expect(asked).toEqual({ metadata: 4, configs: 3 });
});

it("a topic that stays unknown is unavailable, not waited for without end", async () => {
  const { ensure } = cluster(1_000, 200);
  await expect(ensure()).rejects.toMatchObject({ code: "queue.unavailable" });
});
