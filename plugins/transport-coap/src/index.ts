import {
  Bytes,
  Duration,
  definePlugin,
  LaunchOptions,
  Log,
  Onboarding,
  OtaPackages,
  Port,
  ReadyNotes,
  Sessions,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { CoapServer } from "./coap-server.ts";
import { faults } from "./faults.ts";

export default definePlugin({
  name: "@heddle/transport-coap",
  sdk: "^1.0",
  summary: "The device API over CoAP.",
  stability: "beta",
  oneProcess: true,
  config: Type.Object(
    {
      port: Port({ default: 5683 }),
      host: Type.Optional(
        Type.String({ minLength: 1, description: "Address to listen on; all of IPv4, or loopback with demo data." }),
      ),
      receiveBuffer: Bytes({ default: "4MB", description: "Receive buffer to ask the system for." }),
      maxBody: Bytes({ default: "64KB", description: "Largest body, in one message or in blocks." }),
      requestsPerPeer: Type.Integer({
        default: 16,
        minimum: 1,
        description: "Requests of one peer in progress; beyond it they get 5.03.",
      }),
      pendingBytes: Bytes({
        default: "32MB",
        description: "All requests in progress, each with 1 KB on top; beyond it they get 5.03.",
      }),
      remembered: Type.Integer({
        default: 20_000,
        minimum: 1,
        description: "Answered requests remembered, so that a copy is not handled again.",
      }),
      rememberFor: Duration({ default: "247s", description: "How long they are remembered at most." }),
      transfers: Type.Integer({ default: 1_000, minimum: 1, description: "Unfinished block-wise transfers each way." }),
      transferBytes: Bytes({ default: "16MB", description: "Their bytes each way, each with 1 KB on top." }),
      transferAge: Duration({
        default: "60s",
        description: "How long an unfinished transfer waits for its next block.",
      }),
      observers: Type.Integer({ default: 50_000, minimum: 1, description: "Devices that observe at once." }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    sessions: Sessions,
    onboarding: Onboarding,
    packages: OtaPackages,
    notes: ReadyNotes,
    launch: LaunchOptions,
  },
  metrics: {
    requests: { kind: "counter", unit: "requests", help: "Requests by method.", labels: ["method"] },
    responses: { kind: "counter", unit: "responses", help: "Responses and notifications.", labels: ["class"] },
    dropped: { kind: "counter", unit: "datagrams", help: "Datagrams not handled, or not sent.", labels: ["reason"] },
    exchanges: { kind: "gauge", unit: "requests", help: "Requests in progress." },
    observers: { kind: "gauge", unit: "devices", help: "Devices that observe." },
    transfers: { kind: "gauge", unit: "bytes", help: "Bytes of unfinished block-wise transfers." },
  },
  faults,
  register({ container, config, deps, metrics }) {
    let made: CoapServer | undefined;
    container.register(CoapServer, {
      useFactory: () => {
        made ??= new CoapServer(config, deps, metrics);
        return made;
      },
    });
  },
  async start({ container }) {
    await container.resolve(CoapServer).start();
  },
  async stop({ container }) {
    await container.resolve(CoapServer).stop();
  },
  health: ({ container }) => container.resolve(CoapServer).health(),
});
