import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { inspect } from "node:util";
import mqttPacket, { type IPublishPacket, type Packet } from "mqtt-packet";
import { expect, it, vi } from "vitest";
import {
  type Frame,
  type PublishHead,
  packetType,
  readFrame,
  readPublish,
} from "../../plugins/transport-mqtt/src/frame.ts";
import { Room } from "../../plugins/transport-mqtt/testing/room.ts";
import { silentLog } from "../../plugins/transport-mqtt/testing/world.ts";
import type { Dice } from "./dice.ts";
import { fuzz } from "./fuzzer.ts";
import { connect, edgeNode, encoded, type Level, levels, packet, publish } from "./mqtt-packets.ts";
import { must, patience } from "./must.ts";

const limit = 65_536;

/** What the codec library makes of one whole frame; undefined when it refuses it. */
function byLibrary(bytes: Buffer, level: Level): Packet | undefined {
  const parser = mqttPacket.parser({ protocolVersion: level });
  let found: Packet | undefined;
  let refused = false;
  parser.on("packet", (one) => {
    found = one;
  });
  parser.on("error", () => {
    refused = true;
  });
  try {
    if (parser.parse(bytes) !== 0) refused = true;
  } catch {
    refused = true;
  }
  return refused ? undefined : found;
}

function compare(bytes: Buffer, frame: Frame, level: Level): void {
  const head: PublishHead = {
    v5: level === 5,
    qos: 0,
    packetId: 0,
    topic: 0,
    topicEnd: 0,
    payload: 0,
    properties: false,
  };
  const ours = readPublish(bytes, frame, head);
  const theirs = byLibrary(bytes.subarray(frame.start, frame.end), level) as IPublishPacket | undefined;
  if (ours)
    must(
      head.topic <= head.topicEnd && head.topicEnd <= head.payload && head.payload <= frame.end,
      "beyond the packet",
    );
  if (theirs?.cmd !== "publish") return;
  if (!ours) {
    // What the library does not mind: a packet id that is 0 or cut off, and properties without their length.
    const lax = (theirs.qos > 0 && (theirs.messageId ?? 0) <= 0) || (level === 5 && theirs.payload.length === 0);
    return must(lax, "refused what the library reads");
  }
  must(head.qos === theirs.qos && head.packetId === (theirs.messageId ?? 0), "QoS or packet id differ");
  must(bytes.toString("utf8", head.topic, head.topicEnd) === theirs.topic, "topics differ");
  // Behind properties the payload begins later; those packets are left to the library.
  if (!head.properties)
    must(bytes.subarray(head.payload, frame.end).equals(theirs.payload as Buffer), "payloads differ");
}

it("the reader of MQTT frames sees what the codec library sees, and nothing beyond a packet", patience, async () => {
  const tried = await fuzz({
    name: "mqtt-frame",
    make: (dice) => {
      const level = dice.pick(levels);
      return encoded(dice.chance(0.8) ? publish(dice, level) : packet(dice, level), level);
    },
    check(bytes) {
      const frame: Frame = { start: 0, first: 0, body: 0, end: 0 };
      for (let read = 0; frame.start < bytes.length && read < 100; read++, frame.start = frame.end) {
        if (readFrame(bytes, frame, limit) !== "whole") return;
        must(
          frame.start < frame.body && frame.body <= frame.end && frame.end <= bytes.length,
          "a frame beyond the bytes",
        );
        if (frame.first >> 4 === packetType.publish) for (const level of levels) compare(bytes, frame, level);
      }
    },
  });
  expect(tried).toBeGreaterThan(0);
});

/** The bytes of one connection: a CONNECT that is mostly good, and whatever comes behind it. */
function conversation(dice: Dice): Buffer {
  const level = dice.pick(levels);
  const packets = dice.chance(0.2)
    ? edgeNode(dice, level)
    : [connect(dice, level), ...dice.some(8, () => packet(dice, level))];
  return Buffer.concat(packets.flatMap((one) => sent(one, level)));
}

/** Without what the client's codec refuses to write. */
function sent(what: Packet, level: Level): Buffer[] {
  try {
    return [encoded(what, level)];
  } catch {
    return [];
  }
}

/** Long enough for an answer; an input that gets none is not worth more. */
const answerMs = 5;

async function talk(port: number, bytes: Buffer): Promise<void> {
  const socket = connectSocket({ port, host: "127.0.0.1", noDelay: true });
  const closed = once(socket, "close").catch(() => {});
  const heard = new Promise<void>((resolve) => socket.once("data", () => resolve()));
  socket.on("error", () => {});
  // In two pieces, cut where the input says.
  const cut = bytes.length === 0 ? 0 : (bytes[bytes.length - 1] as number) % bytes.length;
  socket.write(bytes.subarray(0, cut));
  socket.write(bytes.subarray(cut));
  await Promise.race([heard, closed, new Promise((resolve) => setTimeout(resolve, answerMs))]);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  await closed;
}

it("no conversation is a defect to the MQTT listener, and the next device is served", patience, async () => {
  await using room = await Room.open({ connectMs: 2_000 });
  room.device("G", { token: "G", identity: { gateway: true } });
  room.device("N", { token: "N", identity: { transportType: "MQTT", transport: { type: "MQTT", sparkplug: true } } });
  room.platform.attributes = { client: '{"a":1}', shared: '{"b":{"c":[2.0]}}' };
  room.platform.reply = async () => "{}";
  const errors = vi.spyOn(silentLog, "error");
  const logged = () => {
    const [first] = errors.mock.calls;
    errors.mockClear();
    return first;
  };
  let turn = 0;
  try {
    const tried = await fuzz({
      name: "mqtt-connection",
      make: conversation,
      async check(bytes) {
        const late = logged();
        must(late === undefined, `after an input before this one: ${inspect(late)}`);
        await talk(room.port, bytes);
        const error = logged();
        must(error === undefined, `logged ${inspect(error)}`);
        if (++turn % 100 !== 0) return;
        // Connected anew: an input may have had its token, and then the older connection ends.
        const next = await room.connected(4, "U");
        next.publish("v2/t", `{"turn":${turn}}`);
        await next.next("puback");
        next.destroy();
        must(room.texts().includes(`{"turn":${turn}}`), "the next device was not heard");
        room.platform.heard.length = 0;
        room.platform.opened.length = 0;
        room.platform.proofs.length = 0;
      },
    });
    expect(tried).toBeGreaterThan(0);
    await expect.poll(() => room.transport.connections, { timeout: 10_000 }).toBe(0);
  } finally {
    errors.mockRestore();
  }
});
