import {
  Bytes,
  Duration,
  definePlugin,
  LaunchOptions,
  Log,
  MqttApplications,
  Onboarding,
  OtaPackages,
  optional,
  Port,
  ReadyNotes,
  Sessions,
  Telemetry,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { meterOf } from "./meter.ts";
import { MqttTransport } from "./mqtt-transport.ts";

const running = new WeakMap<object, MqttTransport>();

export default definePlugin({
  name: "@heddle/transport-mqtt",
  sdk: "^1.0",
  stability: "beta",
  summary: "MQTT 3.1, 3.1.1 and 5 for devices: telemetry, attributes and calls, acknowledged when durable.",
  config: Type.Object(
    {
      host: Type.Optional(Type.String({ description: "Address to listen on; all of them, or 127.0.0.1 in a demo." })),
      port: Port({ default: 1883 }),
      tls: Type.Optional(
        Type.Object(
          {
            cert: Type.String({ description: "PEM file of the server's certificate chain." }),
            key: Type.String({ description: "PEM file of its private key." }),
            port: Port({ default: 8883 }),
          },
          { additionalProperties: false, description: "A second listener, with TLS." },
        ),
      ),
      maxPacket: Bytes({ default: 65_536, description: "Remaining length of a packet; more ends the connection." }),
      inFlight: Type.Integer({
        default: 100,
        minimum: 1,
        maximum: 65_535,
        description: "Messages of one connection that may wait to become durable before it is read on.",
      }),
      totalInFlight: Type.Integer({
        default: 4_096,
        minimum: 1,
        description: "The same for all connections; it is also what a device waits behind when others flood.",
      }),
      totalBytes: Bytes({ default: "128MB", description: "Memory that waiting messages may take." }),
      unsent: Bytes({ default: "256KB", description: "What a device may leave unread before it is disconnected." }),
      connectTimeout: Duration({ default: "10s", description: "From the accept to the open session." }),
      ackTimeout: Duration({ default: "10s", description: "For a device to acknowledge a call." }),
      provisionLinger: Duration({
        default: "60s",
        description: "How long a connection stays open after its provisioning reply.",
      }),
      latencyPeriod: Duration({ default: "60s", description: "How often latencies of gateways become telemetry." }),
      topicAliases: Type.Integer({ default: 10, minimum: 0, maximum: 65_535, description: "Per connection, MQTT 5." }),
      children: Type.Integer({
        default: 10_000,
        minimum: 1,
        description: "Devices behind one gateway that are connected at once.",
      }),
      proxyProtocol: Type.Boolean({
        default: false,
        description: "Every connection begins with the header of a load balancer (PROXY protocol 1 or 2).",
      }),
      skipCertificateValidity: Type.Boolean({
        default: false,
        description: "Client certificates that have expired, or are not valid yet, are taken too.",
      }),
      connections: Type.Integer({ default: 200_000, minimum: 1, description: "Per listener; more are refused." }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    sessions: Sessions,
    onboarding: Onboarding,
    applications: optional(MqttApplications),
    packages: OtaPackages,
    telemetry: Telemetry,
    notes: ReadyNotes,
    launch: LaunchOptions,
  },
  metrics: {
    connections: { kind: "gauge", unit: "connections", help: "Open sockets." },
    paused: { kind: "gauge", unit: "connections", help: "Not read, because too much of what they sent waits." },
    received: { kind: "counter", unit: "messages", help: "Publishes by devices." },
    sent: { kind: "counter", unit: "messages", help: "Publishes to devices." },
    acknowledged: { kind: "counter", unit: "messages", help: "PUBACKs and PUBRECs written." },
    refused: { kind: "counter", unit: "messages", help: "Publishes that were not taken." },
    rejected: { kind: "counter", unit: "connections", help: "Refused or dropped, by reason.", labels: ["reason"] },
    inbound: { kind: "counter", unit: "bytes", help: "Received." },
    outbound: { kind: "counter", unit: "bytes", help: "Written." },
  },
  faults,
  register() {},
  async start({ container, config, deps, metrics, signal }) {
    const { host, port, tls, connectTimeout, ackTimeout, proxyProtocol, skipCertificateValidity, ...rest } = config;
    const { provisionLinger, latencyPeriod, ...limits } = rest;
    const transport = new MqttTransport({
      world: deps.world,
      log: deps.log,
      sessions: deps.sessions,
      onboarding: deps.onboarding,
      applications: deps.applications,
      packages: deps.packages,
      telemetry: deps.telemetry,
      proxied: proxyProtocol,
      skipValidity: skipCertificateValidity,
      notes: deps.notes,
      host: host ?? (deps.launch.demo ? "127.0.0.1" : "0.0.0.0"),
      port,
      tls,
      limits: {
        ...limits,
        connectMs: connectTimeout,
        ackMs: ackTimeout,
        lingerMs: provisionLinger,
        latencyMs: latencyPeriod,
      },
      meter: meterOf(metrics),
    });
    running.set(container, transport);
    await transport.start(signal);
  },
  async stop({ container }) {
    await running.get(container)?.[Symbol.asyncDispose]();
    running.delete(container);
  },
  health: ({ container }) => running.get(container)?.health() ?? { state: "down", detail: "not started" },
});
