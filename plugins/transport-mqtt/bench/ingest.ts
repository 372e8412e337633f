import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Child } from "../testing/child.ts";
import { connectPacket, Peer } from "../testing/peer.ts";

/**
 * CPU per QoS 1 message with a 5 ms group commit, and memory per idle connection.
 * `node --conditions=source --import tsx plugins/transport-mqtt/bench/ingest.ts <mqtt-load.c> [seconds]`
 */
const run = promisify(execFile);
const [source, seconds = "5"] = process.argv.slice(2);
if (source === undefined) throw new Error("the first argument is the load generator's source, mqtt-load.c");
const folder = await mkdtemp(join(tmpdir(), "mqtt-load-"));
const load = join(folder, "mqtt-load");
try {
  await run("gcc", ["-O2", "-w", "-o", load, source]);
  for (const [connections, window] of [
    [1000, 1],
    [1000, 5],
    [200, 10],
  ]) {
    await using child = await Child.start();
    await child.commits("group");
    const { port, pid } = child;
    // Warmed up first: what is measured is the server at work, not the compiler.
    for (const time of ["2", seconds]) {
      const args = ["127.0.0.1", port, pid, connections, 1, window, time].map(String);
      const { stdout } = await run(load, args);
      if (time === seconds) console.log(stdout.trim());
    }
  }
  await using child = await Child.start();
  const sockets: Socket[] = [];
  const idle = async (count: number) => {
    for (let i = 0; i < count; i += 100)
      await Promise.all(Array.from({ length: 100 }, (_, j) => open(`${count}-${i + j}`)));
    await new Promise((resolve) => setTimeout(resolve, 500));
    return child.memory();
  };
  const open = async (token: string) => {
    const socket = connect({ port: child.port, host: "127.0.0.1" });
    sockets.push(socket);
    await new Promise((resolve, reject) => socket.once("data", resolve).once("error", reject).write(encoded(token)));
  };
  const before = await idle(500);
  const after = await idle(4000);
  console.log(`idle connection: ${((after.used - before.used) / 4000 / 1024).toFixed(2)} KB of heap and buffers`);
  for (const socket of sockets) socket.destroy();
} finally {
  await rm(folder, { recursive: true });
}

function encoded(token: string): Buffer {
  return Peer.prototype.encode.call({ level: 4 }, connectPacket(4, { username: token, clientId: "c", keepalive: 60 }));
}
