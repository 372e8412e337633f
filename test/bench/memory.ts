import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "../../plugins/transport-mqtt/testing/child.ts";
import { Server, type ServerOptions } from "../e2e/server.ts";
import { Client } from "./client.ts";
import { inspectedArgs, usedBytes } from "./inspected.ts";
import { preparedServer, type Report } from "./scenarios.ts";
import { fixed, pause } from "./tools.ts";

const connections = 5_000;
const kilobytes = (bytes: number) => `${fixed(bytes / connections / 1_024)} KB`;

/** What an idle device costs: the transport alone, and the whole node with session and device actor. */
export async function connectionMemory(report: Report): Promise<void> {
  await transportAlone(report);
  const folder = mkdtempSync(join(tmpdir(), "heddle-bench-tls-"));
  const first = (await preparedServer(connections)).server;
  try {
    await first.stop();
    process.env["SERVER_NODE_ARGS"] = inspectedArgs;
    const tls = certificate(folder);
    const set = (name: string, value: string) => ["--set", `plugins.mqtt.config.tls.${name}=${value}`];
    const args = [...set("cert", tls.cert), ...set("key", tls.key), ...set("port", "0")];
    await wholeNode({ dataDir: first.dataDir }, "mqtt:", report);
    await wholeNode({ dataDir: first.dataDir, args }, "mqtts:", report);
  } finally {
    delete process.env["SERVER_NODE_ARGS"];
    rmSync(folder, { recursive: true, force: true });
    await first[Symbol.asyncDispose]();
  }
}

async function transportAlone(report: Report): Promise<void> {
  await using child = await Child.start();
  await using fleet = new Client("mqtt-fleet.ts");
  const before = await child.memory();
  await fleet.call("open", { port: child.port, tls: false, count: connections });
  await pause(1_000);
  const after = await child.memory();
  report({
    what: `idle MQTT connection, ${connections} of them, transport alone: heap and buffers after gc`,
    measured: `${kilobytes(after.used - before.used)} (resident ${kilobytes(after.rss - before.rss)})`,
    goal: "≤ 8 KB",
  });
}

async function wholeNode(options: ServerOptions, scheme: "mqtt:" | "mqtts:", report: Report): Promise<void> {
  const server = await Server.start(options);
  try {
    await using fleet = new Client("mqtt-fleet.ts");
    await pause(2_000);
    const before = await usedBytes(server);
    await fleet.call("open", { port: server.port("MQTT", scheme), tls: scheme === "mqtts:", count: connections });
    // Activity that every connection means is written, and its records settle.
    await pause(5_000);
    const after = await usedBytes(server);
    report({
      what: `  ${scheme === "mqtts:" ? "the same with TLS" : "whole node: session, device and its actor too"}`,
      measured: `${kilobytes(after.used - before.used)} (resident ${kilobytes(after.resident - before.resident)})`,
      goal: scheme === "mqtts:" ? "" : "≤ 8 KB",
    });
  } finally {
    await server.kill();
  }
}

function certificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-subj", "/CN=localhost", "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  return { cert, key };
}
