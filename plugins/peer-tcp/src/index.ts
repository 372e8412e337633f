import { definePlugin, Log, PeerLink, provide, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { meterOf } from "./meter.ts";
import { settings } from "./settings.ts";
import { TcpPeerLink } from "./tcp-peer-link.ts";

export default definePlugin({
  name: "@heddle/peer-tcp",
  sdk: "^1.0",
  stability: "beta",
  summary: "Frames between nodes over TCP with mutual TLS or a shared secret, or over a Unix socket.",
  config: settings,
  requires: { world: World, log: Log },
  provides: [PeerLink],
  metrics: {
    framesIn: { kind: "counter", unit: "frames", help: "Received from peers." },
    framesOut: { kind: "counter", unit: "frames", help: "Handed to connections to peers." },
    bytesIn: { kind: "counter", unit: "bytes", help: "Received in frames." },
    bytesOut: { kind: "counter", unit: "bytes", help: "Handed to connections in frames." },
    connections: { kind: "gauge", unit: "connections", help: "Proven connections.", labels: ["direction"] },
    queued: { kind: "gauge", unit: "bytes", help: "Handed to connections and not yet taken by the system." },
    waiting: { kind: "gauge", unit: "sends", help: "Sends that wait for a connection or for room in it." },
    reconnects: { kind: "counter", unit: "connections", help: "Connections made again to a peer that had one." },
    refused: { kind: "counter", unit: "connections", help: "Connections not let in.", labels: ["reason"] },
  },
  faults,
  register({ container, config, deps, metrics }) {
    provide(
      container,
      PeerLink,
      () => new TcpPeerLink({ world: deps.world, log: deps.log, settings: config, meter: meterOf(metrics) }),
    );
  },
  health: ({ container }) => (container.resolve(PeerLink.token) as TcpPeerLink).health(),
});
