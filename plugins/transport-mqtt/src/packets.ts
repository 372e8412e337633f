import { pingresp, readPacket } from "./codec.ts";
import { type Frame, type PublishHead, packetType, readPublish } from "./frame.ts";
import { reason } from "./reasons.ts";
import type { Talk } from "./talk.ts";
import type { Wire } from "./wire.ts";

/** Scratch of all connections: a packet is read and handled in one go. */
const head: PublishHead = { v5: false, qos: 0, packetId: 0, topic: 0, topicEnd: 0, payload: 0, properties: false };

interface Open {
  readonly wire: Wire;
  readonly talk: Talk;
}

/** One whole packet of an open connection. */
export function handlePacket(bytes: Buffer, frame: Frame, { wire, talk }: Open): void {
  const type = frame.first >> 4;
  if (type === packetType.publish) {
    head.v5 = wire.version === 5;
    if (readPublish(bytes, frame, head)) talk.publish(bytes, frame, head);
    else wire.end(reason.malformed);
  } else if (type === packetType.puback || type === packetType.pubrel) {
    const flags = type === packetType.puback ? 0 : 2;
    if ((frame.first & 0xf) !== flags || frame.end - frame.body < 2) return wire.end(reason.malformed);
    const id = bytes.readUInt16BE(frame.body);
    if (type === packetType.puback) talk.confirm(id);
    else talk.release(id);
  } else handleRare(bytes, frame, { wire, talk });
}

function handleRare(bytes: Buffer, frame: Frame, { wire, talk }: Open): void {
  switch (frame.first >> 4) {
    case packetType.pingreq:
      if (frame.first !== 0xc0 || frame.end !== frame.body) return wire.end(reason.malformed);
      talk.ping();
      return wire.send(pingresp);
    case packetType.subscribe:
    case packetType.unsubscribe: {
      const packet = readPacket(wire.version, bytes.subarray(frame.start, frame.end));
      if (packet === undefined || !((packet.messageId ?? 0) > 0)) return wire.end(reason.malformed);
      if (packet.cmd === "subscribe" && packet.subscriptions.length > 0) return talk.subscribe(packet);
      if (packet.cmd === "unsubscribe" && packet.unsubscriptions.length > 0) return talk.unsubscribe(packet);
      return wire.end(reason.protocolError);
    }
    case packetType.disconnect:
      return wire.end(undefined);
    case packetType.pubrec:
    case packetType.pubcomp:
    case packetType.auth:
      // Nothing of ours asks for them (device-api 2.1).
      return;
    default:
      return wire.end(frame.first >> 4 === packetType.connect ? reason.protocolError : reason.malformed);
  }
}
