import {
  ClusterCoordinator,
  Duration,
  definePlugin,
  Log,
  provide,
  SecretString,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { fault, faults } from "./faults.ts";
import { nativeLack } from "./native.ts";
import { serversPattern } from "./servers.ts";
import { ZookeeperCoordinator } from "./zookeeper-coordinator.ts";

export default definePlugin({
  name: "@heddle/coordinator-zookeeper",
  sdk: "^1.0",
  summary: "Membership of a cluster, kept by Apache ZooKeeper.",
  stability: "beta",
  config: Type.Object(
    {
      servers: Type.String({
        default: "localhost:2181",
        pattern: serversPattern,
        description: "Servers of the ensemble, `host:port,host:port`.",
      }),
      chroot: Type.String({
        default: "/heddle",
        pattern: "^(/(?!\\.{1,2}(/|$))[^/\\s]+)+$",
        description: "Folder of this cluster; made when it is not there.",
      }),
      sessionTimeout: Duration({
        default: "6s",
        minimum: 1_000,
        description: "A silent node is evicted after it and stops itself after two thirds; the servers bound it.",
      }),
      user: Type.Optional(
        Type.String({ pattern: "^[^:]+$", description: "Owner of all that is written; with `password`." }),
      ),
      password: Type.Optional(SecretString({ minLength: 1, description: "With `user`; the same on every node." })),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [ClusterCoordinator],
  faults,
  metrics: {
    session: { kind: "counter", unit: "changes", help: "Changes of the session, by new state.", labels: ["state"] },
    reconnects: { kind: "counter", unit: "connections", help: "Times a silent connection was given up for another." },
    heartbeat: {
      kind: "histogram",
      unit: "s",
      help: "Time from a heartbeat to the leader's answer.",
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    },
  },
  preflight: () => nativeLack(),
  register({ container, config, deps, metrics }) {
    provide(container, ClusterCoordinator, () => {
      const { user, password } = config;
      if ((user === undefined) !== (password === undefined)) {
        throw fault("coordinator.config", "user and password are given together or not at all");
      }
      return new ZookeeperCoordinator({
        world: deps.world,
        log: deps.log,
        meter: {
          state: (state) => metrics.session.record(1, { state }),
          reconnect: () => metrics.reconnects.record(1),
          heartbeat: (seconds) => metrics.heartbeat.record(seconds),
        },
        servers: config.servers,
        chroot: config.chroot,
        sessionTimeoutMs: config.sessionTimeout,
        login: user === undefined || password === undefined ? undefined : { user, password },
      });
    });
  },
  health({ container }) {
    return (container.resolve(ClusterCoordinator.token) as ZookeeperCoordinator).health();
  },
});
