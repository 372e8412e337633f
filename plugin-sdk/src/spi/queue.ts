import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/**
 * The durable lane as a back-end gives it: partitioned, ordered per partition, at least once. Its contract is the kit
 * `describeQueueBackend`.
 */
export interface QueueBackend {
  readonly limits: { readonly recordBytes: number; readonly batchRecords: number };
  /** Creates the topics that do not exist; idempotent. Fault `queue.partitions` when one exists with another count. */
  ensure(topics: readonly TopicSpec[], call: CallOptions): Promise<void>;
  /**
   * Resolves when every record is durable. Rejects with a `BatchFault` naming the indexes that are not known to be, with
   * any other fault when none is, or with `queue.record-too-large` before anything was written.
   */
  send(topic: string, records: readonly OutRecord[], call: CallOptions): Promise<void>;
  /** A reader is a lease on one partition for one group; disposing it gives the partition up, unsettled records stay. */
  reader(at: { readonly topic: string; readonly group: string; readonly partition: number }): PartitionReader;
  /**
   * Records of each partition that the group has not settled, whichever node reads them, as far as the back-end knows by
   * now; left out by back-ends that cannot tell.
   */
  lag?(at: { readonly topic: string; readonly group: string }, call: CallOptions): Promise<readonly number[]>;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly retainMs: number;
}

export interface OutRecord {
  readonly partition: number;
  readonly key: string;
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface InRecord extends OutRecord {
  /** Opaque; grows within a partition. */
  readonly position: string;
  /** 1 for the first delivery as far as the back-end knows. */
  readonly attempt: number;
  readonly sentAt: number;
}

export interface PartitionReader extends AsyncDisposable {
  /**
   * At least one record, in order; waits until there is one or the signal aborts. Only one unsettled batch at a time:
   * a second call before `settle` is fault `queue.unsettled`. Waiting here is the back-pressure.
   */
  read(max: number, call: CallOptions): Promise<ReadBatch>;
}

export interface ReadBatch {
  readonly records: readonly InRecord[];
  /** The first `done` are finished. The rest come again, in order, not before `retryInMs`. */
  settle(done: number, call: CallOptions & { readonly retryInMs?: number }): Promise<void>;
}
export const QueueBackend = capability<QueueBackend>("queue-backend@1");
