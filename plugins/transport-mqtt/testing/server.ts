import "reflect-metadata";
import { groupCommit, identityOf, stalledCommit } from "./fake-sessions.ts";
import { Room } from "./room.ts";

/** A transport in a process of its own, so that its memory and CPU can be measured; it is told what to do by messages. */
const room = await Room.open({ connections: 20_000 });
/** Copies until the commit, as the durable lane does. */
let batch: Buffer[] = [];
let group: Promise<void> | undefined;
room.platform.ingest = (payload) => {
  batch.push(Buffer.from(payload));
  const commit = room.platform.commit();
  if (commit !== group) {
    group = commit;
    const committed = batch;
    batch = [];
    void commit.then(() => committed.splice(0));
  }
  return commit;
};
// Any user name is a token of its own device.
room.platform.authenticate = async (by) => {
  const name = by.kind === "basic" ? by.userName : "x";
  return identityOf(name);
};
let stalled = stalledCommit();

export interface Memory {
  readonly rss: number;
  readonly used: number;
  readonly connections: number;
}

const commands: Record<string, () => unknown> = {
  group: () => {
    room.platform.commit = groupCommit(5);
  },
  stall: () => {
    stalled = stalledCommit();
    room.platform.commit = stalled.commit;
  },
  release: () => {
    room.platform.commit = groupCommit(5);
    stalled.release();
  },
  memory: (): Memory => {
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rss, used: heapUsed + external, connections: room.transport.connections };
  },
};

process.on("message", (command: string) => process.send!(commands[command]?.() ?? null));
process.on("disconnect", () => process.exit());
process.send!({ port: room.port });
