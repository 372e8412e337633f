import {
  ActorKinds,
  Actors,
  Applications,
  AttributeStore,
  Bytes,
  Cluster,
  Duration,
  definePlugin,
  EntityData,
  EntityStore,
  Lanes,
  Log,
  MqttApplications,
  provide,
  TimeseriesStore,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { ApplicationRoom } from "./room.ts";
import { TenantData } from "./tenant-data.ts";

const count = (value: number, description: string) => Type.Integer({ default: value, minimum: 1, description });

export default definePlugin({
  name: "@heddle/transport-mqtt-broker",
  sdk: "^1.0",
  summary: "MQTT between applications of a tenant, and from its devices to them.",
  stability: "beta",
  config: Type.Object(
    {
      maxPacket: Bytes({ default: 65_536, description: "Remaining length of a packet; more ends the connection." }),
      inFlight: count(100, "Messages of one connection that may wait to become durable before it is read on."),
      unsent: Bytes({ default: "256KB", description: "What a client may leave unread before it is disconnected." }),
      queued: count(1_000, "Messages that wait for one persistent session; more are dropped."),
      sessions: count(1_000, "Persistent sessions of one tenant."),
      filters: count(100, "Subscriptions of one persistent session."),
      sessionExpiry: Duration({ default: "7d", description: "A persistent session is forgotten after so long away." }),
      retained: count(10_000, "Free topics of one tenant that have a retained message."),
      connections: count(1_000, "Connections of one tenant to one node."),
      applications: count(1_000, "Applications of one tenant."),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    actors: Actors,
    cluster: Cluster,
    lanes: Lanes,
    entities: EntityStore,
    attributes: AttributeStore,
    series: TimeseriesStore,
  },
  provides: [MqttApplications, Applications, EntityData, ActorKinds],
  metrics: {
    connections: { kind: "gauge", unit: "connections", help: "Applications that are connected." },
    received: { kind: "counter", unit: "messages", help: "Publishes by applications." },
    dropped: { kind: "counter", unit: "messages", help: "Not delivered, or not taken, by reason.", labels: ["reason"] },
  },
  faults,
  register({ container, config, deps, metrics }) {
    let connections = 0;
    const meter = {
      connected(change: 1 | -1) {
        connections += change;
        metrics.connections.record(connections);
      },
      received: () => metrics.received.record(1),
      dropped: (reason: string) => metrics.dropped.record(1, { reason }),
    };
    let made: ApplicationRoom | undefined;
    const room = () => {
      made ??= new ApplicationRoom(deps, { ...config, expireMs: config.sessionExpiry }, meter);
      return made;
    };
    container.register(ApplicationRoom, { useFactory: room });
    provide(container, MqttApplications, () => room().applications);
    provide(container, Applications, () => room().applications);
    provide(container, EntityData, () => new TenantData(deps.entities, room().applications));
    provide(container, ActorKinds, () => room().kinds);
  },
  async start({ container, signal }) {
    await container.resolve(ApplicationRoom).start(signal);
  },
  async stop({ container }) {
    await container.resolve(ApplicationRoom).stop();
  },
});
