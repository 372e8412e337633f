import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import type { ClusterStatus } from "@heddle/plugin-sdk";
import cassandra from "cassandra-driver";
import kafkajs from "kafkajs";
import { Server } from "../../e2e/server.ts";

const distribution = resolve(import.meta.dirname, "../../../distributions/cluster/manifest.yaml");

export interface ClusterOptions {
  /** In place of the distribution's own. */
  readonly manifest?: string;
  /** In place of the services' own addresses. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** Nodes of `distributions/cluster`, each a process of its own, with data that no other cluster sees. */
export class ClusterNodes implements AsyncDisposable {
  readonly name = `t${randomBytes(4).toString("hex")}`;
  readonly nodes: Server[] = [];
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = { ...env, CLUSTER: this.name, PEER_PORT: "0", PEER_SECRET: randomBytes(16).toString("hex") };
  }

  /** Starts a node under the given id; `env` may lead it to a service through a proxy. */
  async start(id: string, { manifest = distribution, env = {}, args = [] }: ClusterOptions = {}): Promise<Server> {
    const node = await Server.start({
      manifest,
      readyMs: 90_000,
      env: { ...this.#env, ...env },
      args: ["--set", `node.id=${id}`, ...args],
    });
    this.nodes.push(node);
    return node;
  }

  async stop(node: Server): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    await node.stop();
    await node[Symbol.asyncDispose]();
  }

  /** What all nodes that answer say; the caller waits until they agree. */
  async status(): Promise<ClusterStatus[]> {
    const told = await Promise.allSettled(
      this.nodes.map(async ({ http }) => {
        const answer = await fetch(`${http}/cluster`, { signal: AbortSignal.timeout(5_000) });
        if (!answer.ok) throw new Error(await answer.text());
        return (await answer.json()) as ClusterStatus;
      }),
    );
    return told.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  }

  /** Ends the nodes and drops what they made: topics and tables cost the services memory and time for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
    await Promise.all([this.#dropTopics(), this.#dropKeyspace()]);
  }

  async #dropTopics(): Promise<void> {
    const brokers = (this.#env["KAFKA"] ?? "").split(",");
    const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      const own = (await admin.listTopics()).filter((topic) => topic.startsWith(`${this.name}.`));
      if (own.length > 0) await admin.deleteTopics({ topics: own });
    } finally {
      await admin.disconnect();
    }
  }

  async #dropKeyspace(): Promise<void> {
    const contactPoints = (this.#env["CASSANDRA"] ?? "").split(",");
    const client = new cassandra.Client({ contactPoints, localDataCenter: "datacenter1" });
    try {
      await client.execute(`DROP KEYSPACE IF EXISTS "${this.name}"`, [], { readTimeout: 60_000 });
    } finally {
      await client.shutdown();
    }
  }
}
