import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Service } from "../service.ts";
import type { FaultyCluster } from "./faulty-cluster.ts";

/** What goes wrong, and how it is mended; in between the load goes on. */
export interface FaultCase {
  readonly name: string;
  /** Partitions change hands because of it. */
  readonly moves: "takeover" | "hand-over" | "nothing";
  run(cluster: FaultyCluster, victim: string): Promise<void>;
}

/** Longer than the lease, and than the session behind it. */
const longMs = 7_000;
/** Long enough to be noticed, shorter than what anybody waits. */
const briefMs = 5_000;

export const faultCases: readonly FaultCase[] = [
  {
    name: "kill -9 of a node",
    moves: "takeover",
    run: async (cluster, victim) => {
      await cluster.kill(victim);
      await pause(longMs);
      await cluster.restart(victim);
    },
  },
  {
    name: "a node stopped longer than its lease, then continued",
    moves: "takeover",
    run: async (cluster, victim) => {
      cluster.signal(victim, "SIGSTOP");
      await pause(longMs);
      cluster.signal(victim, "SIGCONT");
    },
  },
  {
    name: "a node cut from ZooKeeper",
    moves: "takeover",
    run: async (cluster, victim) => {
      cluster.cut(victim, "zookeeper");
      await pause(longMs);
      cluster.heal(victim, "zookeeper");
    },
  },
  {
    name: "a node cut from its peers",
    moves: "nothing",
    run: async (cluster, victim) => {
      cluster.cut(victim, "peers");
      await pause(briefMs);
      cluster.heal(victim, "peers");
    },
  },
  {
    name: "a node cut from Kafka",
    moves: "nothing",
    run: async (cluster, victim) => {
      cluster.cut(victim, "kafka");
      await pause(briefMs);
      cluster.heal(victim, "kafka");
    },
  },
  {
    name: "leader of ZooKeeper killed",
    moves: "nothing",
    run: async ({ services: { zookeeper } }) => {
      await zookeeper.kill(await leaderOf(zookeeper));
      await pause(briefMs);
      await zookeeper.start();
    },
  },
  {
    name: "one Kafka broker of three killed",
    moves: "nothing",
    run: async ({ services: { kafka } }) => {
      await kafka.kill(1 + Math.floor(Math.random() * 3));
      await pause(briefMs);
      await kafka.start();
    },
  },
  {
    name: "Cassandra frozen",
    moves: "nothing",
    run: async ({ services: { cassandra } }) => {
      await cassandra.freeze(1);
      await pause(briefMs);
      await cassandra.thaw(1);
    },
  },
  {
    name: "rolling restart",
    moves: "hand-over",
    run: async (cluster) => {
      for (const id of cluster.ids) {
        await cluster.stop(id);
        await cluster.restart(id);
      }
    },
  },
];

async function leaderOf(zookeeper: Service): Promise<number> {
  for (const node of zookeeper.nodes) {
    const [host = "", port] = (zookeeper.endpoints[node - 1] ?? "").split(":");
    const told = await new Promise<string>((resolve, reject) => {
      let text = "";
      const socket = connect(Number(port), host, () => void socket.write("srvr"));
      socket.on("data", (bytes) => {
        text += String(bytes);
      });
      socket.on("error", reject).on("close", () => resolve(text));
    });
    if (told.includes("Mode: leader")) return node;
  }
  throw new Error("no server of the ensemble leads");
}
