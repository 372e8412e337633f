import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

const limitBytes = 512e6;
const floodMs = 8_000;

/** Remaining length of MQTT 3.1.1, clause 2.2.3. */
function remaining(length: number): number[] {
  const bytes: number[] = [];
  for (let left = length; ; left >>= 7) {
    if (left < 128) return [...bytes, left];
    bytes.push((left & 127) | 128);
  }
}
const text = (value: string) =>
  Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
const packet = (type: number, body: Buffer) => Buffer.concat([Buffer.from([type, ...remaining(body.length)]), body]);

/** A device that never waits for an acknowledgement: it writes whenever the socket takes more. */
function flood(port: number, token: string): Socket {
  const socket = connect(port, "127.0.0.1");
  // Clean session and a user name, keep-alive 60 s.
  const head = Buffer.concat([text("MQTT"), Buffer.from([4, 0x82, 0, 60]), text(token), text(token)]);
  const body = `{"filler":"${"x".repeat(900)}","n":1}`;
  const messages = Array.from({ length: 64 }, (_, i) =>
    packet(0x32, Buffer.concat([text("v1/devices/me/telemetry"), Buffer.from([0, i + 1]), Buffer.from(body)])),
  );
  const many = Buffer.concat(messages);
  const more = () => {
    while (socket.writable && socket.write(many));
  };
  socket.on("drain", more).on("error", () => socket.destroy());
  socket.resume();
  socket.write(packet(0x10, head));
  socket.once("data", more);
  return socket;
}

function peakBytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1_024;
}

it.runIf(process.platform === "linux")(
  "memory stays below its limit under a flood, and a well-behaved device beside it is served",
  async () => {
    await using server = await Server.start({ args: ["--set", "node.memory=512MB"] });
    const rest = await RestClient.signIn(server.http);
    const tokens = Array.from({ length: 100 }, (_, i) => `FLOOD${i}`);
    for (const token of tokens) {
      const made = await rest.call("POST", `/api/device?accessToken=${token}`, { name: token });
      expect(made.status).toBe(200);
    }
    const sockets = tokens.map((token) => flood(server.port("MQTT"), token));
    const took: number[] = [];
    const until = performance.now() + floodMs;
    for (let n = 0; performance.now() < until; n++) {
      const began = performance.now();
      const answer = await fetch(`${server.http}/api/v1/A1_TEST_TOKEN/telemetry`, {
        method: "POST",
        body: `{"good":${n}}`,
      });
      expect(answer.status).toBe(200);
      took.push(performance.now() - began);
      await pause(50);
    }
    const metrics = await (await fetch(`${server.http}/metrics`)).text();
    for (const socket of sockets) socket.destroy();
    const handled = Number(/^heddle_lane_published_records_total\{lane="rule-engine"\} (\d+)/m.exec(metrics)?.[1]);
    took.sort((a, b) => a - b);
    const [p50 = 0, p95 = 0] = [0.5, 0.95].map((q) => took[Math.floor(took.length * q)]);
    const peak = peakBytes(server.process.pid ?? 0);
    const row = `${handled} messages, peak ${Math.round(peak / 1e6)} MB, beside it p50 ${p50.toFixed(0)}, p95 ${p95.toFixed(0)} ms`;
    console.log(`flood: ${row}`);
    expect(handled, row).toBeGreaterThan(5_000);
    expect(peak, row).toBeLessThan(limitBytes);
    expect(p95, row).toBeLessThan(2_000);
  },
  60_000,
);
