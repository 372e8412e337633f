import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "../../plugins/transport-mqtt/testing/child.ts";
import { Server, type ServerOptions } from "../e2e/server.ts";
import { Client } from "./client.ts";
import { inspectedArgs, usedBytes } from "./inspected.ts";
import { preparedServer, type Report } from "./scenarios.ts";
import { fixed, pause } from "./tools.ts";

const connections = 5_000;
/** Before them: what is made once, with the first connections, is no part of what one costs. */
const warming = 250;
const kilobytes = (bytes: number) => `${fixed(bytes / connections / 1_024)} KB`;

/** What an idle device costs: the transport alone, and the whole node with session and device actor. */
export async function connectionMemory(report: Report): Promise<void> {
  await transportAlone(report);
  const folder = mkdtempSync(join(tmpdir(), "heddle-bench-tls-"));
  const first = (await preparedServer(warming + connections)).server;
  try {
    await first.stop();
    process.env["SERVER_NODE_ARGS"] = inspectedArgs;
    const tls = certificate(folder);
    const set = (name: string, value: string) => ["--set", `plugins.mqtt.config.tls.${name}=${value}`];
    const args = [...set("cert", tls.cert), ...set("key", tls.key), ...set("port", "0")];
    // A node that has served the devices before would know them.
    const copy = join(folder, "data");
    cpSync(first.dataDir, copy, { recursive: true });
    await wholeNode({ dataDir: first.dataDir }, "mqtt:", report);
    await wholeNode({ dataDir: copy, args }, "mqtts:", report);
  } finally {
    delete process.env["SERVER_NODE_ARGS"];
    rmSync(folder, { recursive: true, force: true });
    await first[Symbol.asyncDispose]();
  }
}

async function transportAlone(report: Report): Promise<void> {
  await using child = await Child.start();
  const { before, after } = await around({ port: child.port, tls: false }, () => child.memory());
  report({
    what: `idle MQTT connection, ${connections} of them, transport alone: heap and buffers after gc`,
    measured: kilobytes(after.used - before.used),
    goal: "≤ 8 KB",
  });
}

async function wholeNode(options: ServerOptions, scheme: "mqtt:" | "mqtts:", report: Report): Promise<void> {
  const server = await Server.start(options);
  try {
    const at = { port: server.port("MQTT", scheme), tls: scheme === "mqtts:" };
    const { before, after } = await around(at, () => usedBytes(server));
    report({
      what: `  ${scheme === "mqtts:" ? "the same with TLS" : "whole node: session, device and its actor too"}`,
      measured: `${kilobytes(after.used - before.used)} and ${kilobytes(after.outside - before.outside)} outside of the heap`,
      goal: "",
    });
  } finally {
    await server.kill();
  }
}

/** Memory before the connections, with a few that are there already, and with them. */
async function around<T>(
  at: { readonly port: number; readonly tls: boolean },
  look: () => Promise<T>,
): Promise<{ before: T; after: T }> {
  await using early = new Client("mqtt-fleet.ts");
  await using fleet = new Client("mqtt-fleet.ts");
  await early.call("open", { ...at, count: warming });
  await pause(3_000);
  const before = await look();
  await fleet.call("open", { ...at, count: connections, first: warming });
  // What a connection has written down about it settles.
  await pause(5_000);
  return { before, after: await look() };
}

function certificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-subj", "/CN=localhost", "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  return { cert, key };
}
