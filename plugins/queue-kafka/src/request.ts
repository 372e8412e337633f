import type { ICustomPartitioner, PartitionerArgs } from "kafkajs";
import type { Entry } from "./sending.ts";
import type { Batch, TopicLine } from "./topic-line.ts";

/** What the driver is told when it must not go on with a request; it does not retry after it. */
class Stop extends Error {
  readonly retriable = false;
}

/**
 * One `sendBatch` of the driver: batches of one topic that one broker leads. The driver retries a request as a whole,
 * with a list of brokers that have answered; when leaders move meanwhile it skips partitions or sends them twice. It asks
 * the partitioner before every attempt, so that is where a request whose partitions have no common leader any more is
 * stopped, as is one that nobody waits for.
 */
export class Request {
  readonly line: TopicLine;
  readonly batches: readonly Batch[];
  readonly messages: readonly Entry[];
  attempts = 0;
  /** Its partitions have several leaders: to be sent again in parts. */
  split = false;
  #over = false;

  constructor(line: TopicLine, batches: readonly Batch[]) {
    this.line = line;
    this.batches = batches;
    this.messages = batches.length === 1 ? (batches[0] as Batch).entries : batches.flatMap(({ entries }) => entries);
    for (const { entries } of batches) requests.set(entries[0] as Entry, this);
  }

  /** No attempt begins after this. */
  end(): void {
    this.#over = true;
  }

  /** Before an attempt: notes the leaders, and stops it when it must not be. */
  attempt({ partitionMetadata }: PartitionerArgs): void {
    if (this.#over) throw new Stop("the request has been given up");
    const { leaders } = this.line;
    for (const { partitionId, leader } of partitionMetadata) leaders[partitionId] = leader;
    const own = new Set(this.batches.map(({ line }) => leaders[line.partition]));
    if (own.size > 1) {
      this.split = true;
      throw new Stop("the partitions of the request have several leaders");
    }
    this.attempts += 1;
  }
}

/** The request that a batch's first record is in. */
const requests = new WeakMap<Entry, Request>();

/** Partitions are ours to choose; the driver's question is the sign that an attempt begins. */
export const partitioner: ICustomPartitioner = () => (args) => {
  const entry = args.message as Entry;
  const request = requests.get(entry);
  if (request !== undefined && request.messages[0] === entry) request.attempt(args);
  return entry.partition;
};
