import {
  Duration,
  definePlugin,
  HttpListener,
  LaunchOptions,
  Log,
  Observability,
  Port,
  provide,
  ReadyNotes,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { SharedHttpListener } from "./shared-http-listener.ts";

export default definePlugin({
  name: "@heddle/http-listener",
  sdk: "^1.0",
  summary: "One HTTP listener that the plugins share; serves metrics and health.",
  stability: "beta",
  config: Type.Object(
    {
      port: Port({ default: 8080 }),
      host: Type.Optional(
        Type.String({ minLength: 1, description: "Address to listen on; all, or loopback with demo data." }),
      ),
      headerTimeout: Duration({ default: "20s", description: "How long the head of a request may take." }),
      requestTimeout: Duration({ default: "5m", description: "How long a whole request may take to arrive." }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log, observability: Observability, notes: ReadyNotes, launch: LaunchOptions },
  provides: [HttpListener],
  metrics: {
    requests: { kind: "counter", unit: "requests", help: "Requests by mount.", labels: ["mount"] },
    connections: { kind: "gauge", unit: "connections", help: "Open connections." },
  },
  faults,
  register({ container, config, deps, metrics }) {
    provide(container, HttpListener, () => new SharedHttpListener(config, deps, metrics));
  },
});
