import type { BatchFault, Log } from "@heddle/plugin-sdk";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import type { Message, PartitionMetadata, Producer, RecordMetadata } from "kafkajs";
import { beforeEach, describe, expect, it } from "vitest";
import { Link } from "./link.ts";
import { partitioner } from "./request.ts";
import { Sender } from "./sender.ts";
import type { Entry } from "./sending.ts";
import { Trouble } from "./trouble.ts";

interface Stored {
  readonly producer: number;
  readonly first: number;
  readonly last: number;
  readonly names: readonly string[];
}

/** A broker that knows repetitions by producer and number, and a driver that numbers as kafkajs does. */
class FakeKafka {
  leaders = [1, 1, 2, 2];
  readonly log: Stored[][] = [[], [], [], []];
  readonly requests: (readonly Message[])[] = [];
  /** What happens to the next attempts; none: they are stored and acknowledged. */
  script: ("lose" | "stored-but-lost" | "hold" | (() => void))[] = [];
  held: (() => void)[] = [];
  producers = 0;
  refuseConnections = false;
  /** Requests to this broker are lost. */
  unreachable: number | undefined;

  producer(): Producer {
    this.producers += 1;
    const id = this.producers;
    const sequences = new Map<number, number>();
    const ask = partitioner();
    const sendBatch = async ({ topicMessages }: { topicMessages: { topic: string; messages: Message[] }[] }) => {
      const { topic, messages } = topicMessages[0] as { topic: string; messages: Message[] };
      for (let tries = 1; ; tries += 1) {
        const parts = this.#ask(ask, topic, messages);
        this.requests.push(messages);
        const lost = this.leaders[messages[0]?.partition ?? 0] === this.unreachable;
        const step = lost ? "lose" : this.script.shift();
        if (typeof step === "function") step();
        if (step === "hold") await new Promise<void>((resolve) => this.held.push(resolve));
        if (step !== "lose") for (const [partition, names] of parts) this.#store(partition, id, { sequences, names });
        if (step === undefined || step === "hold") {
          for (const [partition, names] of parts) {
            sequences.set(partition, (sequences.get(partition) ?? 0) + names.length);
          }
          return [...parts.keys()].map(
            (partition) => ({ topicName: topic, partition, errorCode: 0 }) as RecordMetadata,
          );
        }
        if (tries > 1) throw Object.assign(new Error("no answer"), { retriable: true });
      }
    };
    const connect = async () => {
      if (this.refuseConnections) throw new Error("nobody there");
    };
    return { sendBatch, connect, disconnect: async () => {} } as unknown as Producer;
  }

  names(partition: number): string[] {
    return (this.log[partition] as Stored[]).flatMap(({ names }) => names);
  }

  #ask(ask: ReturnType<typeof partitioner>, topic: string, messages: Message[]): Map<number, string[]> {
    const partitionMetadata = this.leaders.map((leader, partitionId) => ({
      partitionId,
      leader,
    })) as PartitionMetadata[];
    const parts = new Map<number, string[]>();
    for (const message of messages) {
      const partition = ask({ topic, partitionMetadata, message });
      const names = parts.get(partition) ?? [];
      parts.set(partition, names);
      names.push(String(message.value));
    }
    return parts;
  }

  #store(partition: number, producer: number, of: { sequences: Map<number, number>; names: string[] }): void {
    const log = this.log[partition] as Stored[];
    const first = of.sequences.get(partition) ?? 0;
    const last = first + of.names.length - 1;
    const repeated = log.some((one) => one.producer === producer && one.first === first && one.last === last);
    if (!repeated) log.push({ producer, first, last, names: of.names });
  }
}

const signal = new AbortController().signal;
let kafka: FakeKafka;
let sender: Sender;
let replaced: number;

function make(limits: { pendingBytes?: number; ackTimeoutMs?: number } = {}): Sender {
  const world = realWorld();
  const log: Log = silentLog;
  const made = new Sender({
    world,
    trouble: new Trouble(log),
    producers: new Link({ world, what: "the producer", withinMs: 1_000, make: () => kafka.producer() }),
    meter: { request() {}, pending() {}, replaced: () => (replaced += 1) },
    recordBytes: 1_000,
    pendingBytes: limits.pendingBytes ?? 100_000,
    ackTimeoutMs: limits.ackTimeoutMs ?? 2_000,
    requestMs: 500,
  });
  made.know("jobs", "p.jobs", kafka.leaders);
  return made;
}

const job = (name: string, partition = 0) => ({ partition, key: "k", body: Buffer.from(name) });
const send = (...names: string[]) =>
  sender.send(
    "jobs",
    names.map((name) => job(name)),
    signal,
  );
const failure = (work: Promise<void>) =>
  work.then(
    () => undefined,
    (error: BatchFault) => error,
  );

beforeEach(() => {
  kafka = new FakeKafka();
  replaced = 0;
  sender = make();
});

describe("requests", () => {
  it("what is sent together goes in one request per leader", async () => {
    await sender.send("jobs", [job("a", 0), job("b", 1), job("c", 2), job("d", 3)], signal);
    expect(kafka.requests.map((messages) => messages.map(({ partition }) => partition))).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("what comes while a request is under way goes together into the next one, in order", async () => {
    kafka.script = ["hold"];
    const first = send("a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const more = [send("b"), send("c", "d"), send("e")];
    await new Promise((resolve) => setTimeout(resolve, 20));
    kafka.held.shift()?.();
    await Promise.all([first, ...more]);
    expect(kafka.requests.map((messages) => messages.map(({ value }) => String(value)))).toEqual([
      ["a"],
      ["b", "c", "d", "e"],
    ]);
  });

  it("a batch stays below the largest record batch", async () => {
    const body = Buffer.alloc(300);
    await sender.send(
      "jobs",
      Array.from({ length: 10 }, () => ({ partition: 0, key: "k", body })),
      signal,
    );
    expect(kafka.requests.map((messages) => messages.length)).toEqual([2, 2, 2, 2, 2]);
  });

  it("a leader that moves before an attempt splits the request; nothing is lost or doubled", async () => {
    kafka.leaders = [1, 3, 2, 2];
    await sender.send("jobs", [job("a", 0), job("b", 1)], signal);
    await sender.send("jobs", [job("c", 0), job("d", 1)], signal);
    expect([kafka.names(0), kafka.names(1)]).toEqual([
      ["a", "c"],
      ["b", "d"],
    ]);
    expect(replaced).toBe(0);
  });

  it("leaders that part during a retry: the same batches go out again through the same producer", async () => {
    kafka.script = [
      () => {
        kafka.leaders = [1, 3, 2, 2];
      },
    ];
    const first = sender.send("jobs", [job("a", 0), job("b", 1)], signal);
    const later = new Promise((resolve) => setTimeout(resolve, 5)).then(() =>
      sender.send("jobs", [job("c", 0), job("d", 1)], signal),
    );
    await Promise.all([first, later]);
    expect([kafka.names(0), kafka.names(1)]).toEqual([
      ["a", "c"],
      ["b", "d"],
    ]);
    expect(kafka.producers).toBe(1);
  });
});

describe("failures", () => {
  it("a request that is lost and repeated is stored once", async () => {
    kafka.script = ["stored-but-lost"];
    await send("a", "b");
    await send("c");
    expect(kafka.names(0)).toEqual(["a", "b", "c"]);
  });

  it("after an unsure request a new producer writes, so that nothing is taken for a repetition", async () => {
    kafka.script = ["stored-but-lost", "stored-but-lost"];
    const fault = await failure(send("unsure"));
    expect(fault).toMatchObject({ code: "queue.unavailable", failures: [{ index: 0 }] });
    await send("next");
    expect(kafka.names(0)).toEqual(["unsure", "next"]);
    expect([replaced, kafka.producers]).toEqual([1, 2]);
  });

  it("only the records of the failed request are named", async () => {
    kafka.unreachable = 1;
    const fault = await failure(sender.send("jobs", [job("a", 2), job("b", 0), job("c", 2)], signal));
    expect(fault?.failures.map(({ index }) => index)).toEqual([1]);
    expect([kafka.names(0), kafka.names(2)]).toEqual([[], ["a", "c"]]);
  });

  it("records wait for a producer, and are written when there is one", async () => {
    kafka.refuseConnections = true;
    const work = send("a");
    await new Promise((resolve) => setTimeout(resolve, 300));
    kafka.refuseConnections = false;
    await work;
    expect(kafka.names(0)).toEqual(["a"]);
  });

  it("a send ends at its deadline and names what is unsure", async () => {
    sender = make({ ackTimeoutMs: 150 });
    kafka.script = ["hold"];
    const fault = await failure(send("a", "b"));
    expect(fault).toMatchObject({ code: "queue.unavailable", kind: "unavailable", retryable: true });
    expect(fault?.failures.map(({ index }) => index)).toEqual([0, 1]);
  });

  it("a caller that goes is answered at once; what was not handed over is not written", async () => {
    kafka.script = ["hold"];
    const first = send("a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const stop = new AbortController();
    const gone = sender.send("jobs", [job("gone")], stop.signal);
    stop.abort(new Error("enough"));
    await expect(gone).rejects.toThrow("enough");
    kafka.held.shift()?.();
    await first;
    await send("b");
    expect(kafka.names(0)).toEqual(["a", "b"]);
  });

  it("closing makes what is on its way unsure", async () => {
    kafka.script = ["hold"];
    const work = failure(send("a"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    sender.close();
    expect(await work).toMatchObject({ code: "queue.closed" });
    await expect(send("b")).rejects.toMatchObject({ code: "queue.closed" });
  });
});

describe("bounds", () => {
  it("beyond pendingBytes a send waits for room, or until its signal aborts", async () => {
    sender = make({ pendingBytes: 1_000 });
    kafka.script = ["hold"];
    const body = Buffer.alloc(700);
    const big = () => ({ partition: 0, key: "k", body });
    const first = sender.send("jobs", [big()], signal);
    const stop = new AbortController();
    const gone = sender.send("jobs", [big()], stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort(new Error("enough"));
    await expect(gone).rejects.toThrow("enough");
    const second = sender.send("jobs", [big()], signal);
    await expect(sender.send("jobs", [big()], signal)).rejects.toMatchObject({ code: "queue.full" });
    kafka.held.shift()?.();
    await Promise.all([first, second]);
    expect(kafka.names(0)).toHaveLength(2);
  });

  it("a record's size counts key, headers and overhead", async () => {
    const body = Buffer.alloc(900);
    await sender.send("jobs", [{ partition: 0, key: "k", body }], signal);
    const headers = { name: "x".repeat(60) };
    await expect(sender.send("jobs", [{ partition: 0, key: "k", body, headers }], signal)).rejects.toMatchObject({
      code: "queue.record-too-large",
    });
    await expect(sender.send("jobs", [job("x", 4)], signal)).rejects.toMatchObject({ code: "queue.partition-unknown" });
    await expect(sender.send("other", [job("x")], signal)).rejects.toMatchObject({ code: "queue.topic-unknown" });
  });

  it("the driver takes records without a copy of the body", async () => {
    const body = new Uint8Array([1, 2, 3]);
    await sender.send("jobs", [{ partition: 0, key: "k", body }], signal);
    expect((kafka.requests[0]?.[0] as Entry | undefined)?.value.buffer).toBe(body.buffer);
  });
});
