import { once } from "node:events";
import { pathToFileURL } from "node:url";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { RestClient } from "../e2e/rest-client.ts";
import type { Server } from "../e2e/server.ts";
import { describeWithServices } from "./cluster/needs.ts";
import { ClusterNodes } from "./cluster/nodes.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const eventually = async <T>(read: () => Promise<T>, holds: (value: T) => boolean, ms = 30_000): Promise<T> => {
  for (const end = performance.now() + ms; ; ) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > end) throw new Error(`not within ${ms} ms; last: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

describeWithServices(({ zookeeper, kafka, cassandra }) => {
  const where = { ZOOKEEPER: zookeeper.where, KAFKA: kafka.where, CASSANDRA: cassandra.where };

  describe("three nodes", () => {
    let cluster: ClusterNodes;
    let [a, b, c]: (Server | undefined)[] = [];
    let rest: RestClient;

    beforeAll(async () => {
      cluster = new ClusterNodes(where);
      a = await cluster.start("a");
      [b, c] = await Promise.all([cluster.start("b"), cluster.start("c")]);
      rest = await RestClient.signIn(a.http);
    }, 180_000);
    afterAll(() => cluster[Symbol.asyncDispose]());

    it("share all partitions, and each tells the same cluster", async () => {
      const told = await cluster.status();
      expect(told.map(({ self }) => self).sort()).toEqual(["a", "b", "c"]);
      expect(new Set(told.map(({ epoch }) => epoch)).size).toBe(1);
      expect(told.reduce((sum, { serving }) => sum + serving, 0)).toBe(128);
      for (const { members } of told) {
        for (const { partitions } of members) expect(partitions).toBeLessThanOrEqual(Math.ceil((128 / 3) * 1.15) + 1);
      }
    });

    it("W-01 D-18 a device on c, REST on a, a browser on b: telemetry, live update and call", async () => {
      const id = await rest.deviceId("Test Device A2");
      const socket = new WebSocket(`${b!.http.replace("http", "ws")}/api/ws`);
      await once(socket, "open");
      const frames: string[] = [];
      socket.on("message", (data) => void frames.push(String(data)));
      const watch = {
        type: "TIMESERIES",
        cmdId: 1,
        entityType: "DEVICE",
        entityId: id,
        scope: "LATEST_TELEMETRY",
        keys: "t",
      };
      socket.send(JSON.stringify({ authCmd: { cmdId: 0, token: rest.token }, cmds: [watch] }));
      await eventually(
        async () => frames.length,
        (n) => n > 0,
      );
      const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${c!.port("MQTT")}`, { username: "A2_TEST_TOKEN" });
      await device.subscribeAsync("v1/devices/me/rpc/request/+", { qos: 1 });
      device.on("message", (topic, body) => {
        void device.publish(topic.replace("request", "response"), JSON.stringify({ echo: JSON.parse(String(body)) }));
      });
      await device.publishAsync("v1/devices/me/telemetry", '{"t":41.5}', { qos: 1 });
      await eventually(async () => frames.some((frame) => frame.includes("41.5")), Boolean);
      const values = await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=t`);
      expect(values.t[0].value).toBe("41.5");
      const call = { method: "blink", params: { n: 3 }, timeout: 10_000 };
      const { status, body } = await rest.call("POST", `/api/rpc/twoway/${id}`, call);
      expect({ status, body }).toEqual({ status: 200, body: { echo: { method: "blink", params: { n: 3 } } } });
      device.end(true);
      socket.close();
    }, 90_000);

    it("R-22 a second node with the id of a live one does not start, and says why", async () => {
      await expect(cluster.start("b")).rejects.toThrow(/coordinator\.duplicate|has this id|is a member|b is/);
      expect((await cluster.status()).length).toBe(3);
    }, 90_000);

    it("a node with another number of partitions does not start, names both, and damages nothing", async () => {
      const other = cluster.start("d", { args: ["--set", "cluster.partitions=64"] });
      await expect(other).rejects.toThrow(/128[\s\S]*64|64[\s\S]*128/);
      const told = await eventually(
        () => cluster.status(),
        (all) => all.length === 3,
      );
      expect(told.every(({ partitions }) => partitions === 128)).toBe(true);
    }, 120_000);

    it("R-17 a fourth node takes its share and gives it back, nothing else moves", async () => {
      const d = await cluster.start("d");
      const joined = await eventually(
        () => cluster.status(),
        (all) => all.length === 4 && all.every(({ members }) => members.length === 4),
      );
      expect(joined.reduce((sum, { serving }) => sum + serving, 0)).toBe(128);
      await cluster.stop(d);
      await eventually(
        () => cluster.status(),
        (all) => all.length === 3 && all.reduce((sum, { serving }) => sum + serving, 0) === 128,
      );
    }, 120_000);
  });

  it("a node whose services are all down is live and not ready, says which, and comes up by itself", async () => {
    const open = (targets: readonly string[]) => Promise.all(targets.map((target) => TcpProxy.open(target)));
    const [zk, rest] = await Promise.all([
      open(zookeeper.endpoints),
      open([...kafka.endpoints, ...cassandra.endpoints]),
    ]);
    const proxies = [...zk, ...rest];
    for (const proxy of proxies) proxy.cut();
    const cluster = new ClusterNodes(where);
    const http = "http://127.0.0.1:24600";
    const starting = cluster.start("a", {
      env: {
        ZOOKEEPER: zk.map(({ address }) => address).join(","),
        ROUTES: rest.map(({ target, port }) => `${target.split(":")[1]}=${port}`).join(","),
        NODE_OPTIONS: `--import=${pathToFileURL(`${import.meta.dirname}/cluster/route-ports.mjs`).href}`,
        HTTP_BIND_PORT: "24600",
      },
    });
    starting.catch(() => {});
    const status = (path: string) =>
      fetch(http + path).then(
        ({ status: code }) => code,
        () => 0,
      );
    await eventually(
      () => status("/health/live"),
      (code) => code === 200,
    );
    expect(await status("/health/ready")).toBe(503);
    const told = (await (await fetch(`${http}/health/ready`)).json()) as { plugins: Record<string, { state: string }> };
    const down = Object.entries(told.plugins).flatMap(([role, { state }]) => (state === "down" ? [role] : []));
    expect(down).toEqual(expect.arrayContaining(["queue", "entities", "timeseries"]));
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    for (const proxy of proxies) proxy.heal();
    const node = await starting;
    expect(await status("/health/ready")).toBe(200);
    const log = node.log.join("");
    for (const name of ["queue", "entities", "timeseries"])
      expect(log).toMatch(new RegExp(`"name":"${name}"[^\\n]*(unreachable|cannot|not|refused|no )`, "i"));
    await cluster[Symbol.asyncDispose]();
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  }, 180_000);
});
