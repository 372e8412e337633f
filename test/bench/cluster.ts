import { entityKey } from "@heddle/plugin-sdk";
import mqtt from "mqtt";
import { murmur3 } from "../../core/src/cluster/hash.ts";
import { assign } from "../../core/src/cluster/ring.ts";
import { RestClient } from "../e2e/rest-client.ts";
import type { Server } from "../e2e/server.ts";
import { services } from "../services/cluster/faulty-cluster.ts";
import { ClusterNodes } from "../services/cluster/nodes.ts";
import type { Report } from "./scenarios.ts";
import { fixed, percentile } from "./tools.ts";

const calls = 500;

/** A call through REST to a device: everything on one node, and asked, decided and delivered on three. */
export async function clusterCalls(report: Report): Promise<void> {
  const all = services();
  if (all === undefined) throw new Error("ZooKeeper, Kafka and Cassandra must run: npm run services -- start");
  const { zookeeper, kafka, cassandra } = all;
  await using cluster = new ClusterNodes({
    ZOOKEEPER: zookeeper.where,
    KAFKA: kafka.where,
    CASSANDRA: cassandra.where,
  });
  const a = await cluster.start("a");
  const [, c] = await Promise.all([cluster.start("b"), cluster.start("c")]);
  const rest = await RestClient.signIn(a.http);
  const owned = await devicesByOwner(cluster, rest);
  const local = await callTimes(rest, a, owned("a"));
  const spread = await callTimes(rest, c, owned("b"));
  const text = (times: readonly number[]) =>
    `p50 ${fixed(percentile(times, 0.5))}, p99 ${fixed(percentile(times, 0.99))} ms`;
  report({ what: "call in a cluster, everything on one node", measured: text(local), goal: "" });
  report({ what: "  asked on a, decided on b, delivered on c", measured: text(spread), goal: "" });
  const over = percentile(spread, 0.99) - percentile(local, 0.99);
  report({ what: "  p99 over that of one node", measured: `${fixed(over)} ms`, goal: "≤ 5 ms" });
}

/** A device of the wanted owner, made until there is one. */
async function devicesByOwner(cluster: ClusterNodes, rest: RestClient): Promise<(node: string) => string> {
  const found = new Map<string, string>();
  for (let n = 0; found.size < 3; n++) {
    const name = `bench ${n}`;
    const { body } = await rest.call("POST", `/api/device?accessToken=BENCH${n}`, { name });
    const [told] = await cluster.status();
    if (told === undefined) throw new Error("no node tells the cluster's state");
    const owners = assign(
      told.partitions,
      told.members.map(({ id, roles }) => ({ id, roles, weight: 1 })),
    );
    const key = entityKey(body.tenantId.id, { entityType: "DEVICE", id: body.id.id });
    const owner = owners[murmur3(key) % told.partitions];
    if (owner !== undefined && !found.has(owner)) found.set(owner, `${body.id.id} BENCH${n}`);
  }
  return (node) => found.get(node) as string;
}

async function callTimes(rest: RestClient, session: Server, device: string): Promise<number[]> {
  const [id, token = ""] = device.split(" ");
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${session.port("MQTT")}`, { username: token });
  await client.subscribeAsync("v1/devices/me/rpc/request/+", { qos: 1 });
  client.on("message", (topic) => void client.publish(topic.replace("request", "response"), "{}", { qos: 1 }));
  const took: number[] = [];
  for (let n = -200; n < calls; n++) {
    const began = performance.now();
    const { status } = await rest.call("POST", `/api/rpc/twoway/${id}`, { method: "m", params: {}, timeout: 10_000 });
    if (status !== 200) throw new Error(`call: ${status}`);
    if (n >= 0) took.push(performance.now() - began);
  }
  client.end(true);
  return took;
}
