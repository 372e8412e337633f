import { Server } from "../e2e/server.ts";
import { Client } from "./client.ts";
import { machineMs } from "./clients/calls.ts";
import { preparedServer, type Report } from "./scenarios.ts";
import { fixed } from "./tools.ts";

const devices = 5_000;
const goal = "≤ 30 s";

/** All devices are lost at once, and come back at once: connected, and subscribed to their attributes. */
export async function reconnectStorm(report: Report): Promise<void> {
  const { server: first } = await preparedServer(devices);
  let server = first;
  try {
    await using fleet = new Client("mqtt-fleet.ts");
    const port = first.port("MQTT");
    await fleet.call("open", { port, tls: false, count: devices, topic: "v1/devices/me/attributes" });
    const dropped = await fleet.call<Back>("drop");
    report({ what: `${devices} MQTT devices reset and back, subscribed`, measured: told(dropped), goal });

    const since = machineMs();
    await server.kill();
    server = await Server.start({ dataDir: first.dataDir, env: { MQTT_BIND_PORT: String(port) } });
    const restarted = await fleet.call<Back>("back", { since });
    report({ what: "  after the server was killed and started, its start too", measured: told(restarted), goal });
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

interface Back {
  readonly lastMs: number;
  readonly attempts: number;
}

const told = ({ lastMs, attempts }: Back) => `${fixed(lastMs / 1_000)} s (${attempts} attempts)`;
