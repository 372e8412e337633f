import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AttributeStore,
  type Capability,
  EntityStore,
  type QueueBackend as Queue,
  QueueBackend,
  TimeseriesStore,
} from "@heddle/plugin-sdk";
import {
  describeAttributeStore,
  describeEntityStore,
  describePeerLink,
  describeQueueBackend,
  describeTimeseriesStore,
  MemoryAttributeStore,
  MemoryEntityStore,
  MemoryTimeseriesStore,
  memoryQueue,
  realWorld,
  silentLog,
  type TestedQueue,
} from "@heddle/plugin-sdk/testing";
import { OverSocket } from "../../testing/over-socket.ts";
import { SystemWorld } from "../world/system-world.ts";
import { frameBytes } from "./frame-socket.ts";
import { SocketPeers } from "./socket-peers.ts";

const store = async <S>(capability: Capability<S, any>, value: S) => {
  const socket = await OverSocket.of(capability, { value });
  return { store: await socket.worker(), [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose]() };
};
const supports = { survivesRestart: false };

describeEntityStore("in the parent", { create: () => store(EntityStore, new MemoryEntityStore()), supports });
describeAttributeStore("in the parent", { create: () => store(AttributeStore, new MemoryAttributeStore()), supports });
describeTimeseriesStore("in the parent", {
  create: () => store(TimeseriesStore, new MemoryTimeseriesStore(realWorld())),
  supports,
});

const queue = async (value: Queue): Promise<TestedQueue> => {
  const socket = await OverSocket.of(QueueBackend, { value });
  return Object.assign(await socket.worker(), { [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose]() });
};

describeQueueBackend("memory queue in the parent", {
  create: () => queue(memoryQueue(realWorld()).client("one")),
  supports: { delayedRetry: true, survivesRestart: false, lag: true },
});

const client = { current: memoryQueue(realWorld(2), { delayMs: 3 }).client("one") };
describeQueueBackend("slow and cut memory queue in the parent", {
  create: () => {
    client.current = memoryQueue(realWorld(2), { delayMs: 3 }).client("one");
    return queue(client.current);
  },
  supports: { delayedRetry: true, survivesRestart: false, lag: true },
  faults: { disconnect: async () => client.current.cut(), reconnect: async () => client.current.heal() },
});

describePeerLink("worker to worker", {
  create: async () => {
    const folder = await mkdtemp(join(tmpdir(), "heddle-peers-"));
    return {
      link: async (name) => new SocketPeers(join(folder, name), { world: new SystemWorld(), log: silentLog }),
      unreachable: join(folder, "nobody"),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  },
  bounds: { frameBytes, takenBytes: 16 * 1024 * 1024 },
});
