import { fixed } from "@heddle/payload-codec/testing";
import { describe, expect, it } from "vitest";
import { levels } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";

const topic = "/provision/request";
const good = '{"provisionDeviceKey":"k","provisionDeviceSecret":"s"}';

describe.each(levels)("provisioning, level %i", (level) => {
  const asking = async (room: Room, who: object = { username: "provision", clientId: "c" }) => {
    const peer = room.peer(level);
    peer.connect(who);
    const { returnCode, reasonCode } = (await peer.next("connack")) as { returnCode?: number; reasonCode?: number };
    expect(returnCode ?? reasonCode).toBe(0);
    return peer;
  };

  it("MQTT-PRV-01, MQTT-PRV-02: acknowledged, then answered without a subscription; any token beside it is nobody's", async () => {
    await using room = await Room.open();
    for (const who of [{ username: "provision" }, { clientId: "provision", username: "T" }]) {
      const peer = await asking(room, { clientId: "c", ...who });
      peer.publish(topic, good, { messageId: 4 });
      await peer.until(({ packets }) => packets.length === 2, "two packets");
      expect(peer.packets.map(({ cmd }) => cmd)).toEqual(["puback", "publish"]);
      const reply = await peer.next("publish");
      expect(reply).toMatchObject({ topic: "/provision/response", qos: 1 });
      expect(JSON.parse(String(reply.payload))).toMatchObject({ status: "SUCCESS", credentialsValue: "drawn" });
      expect(await peer.stays()).toBe(true);
    }
    expect(room.platform.proofs).toEqual([]);
  });

  it("answers Protobuf in Protobuf, an empty payload among it", async () => {
    await using room = await Room.open();
    room.onboarding.reply = { status: "NOT_FOUND", errorMsg: "Provision data was not found!" };
    const peer = await asking(room);
    const type = fixed("ProvisionDeviceRequest");
    const request = type.encode({
      provisionDeviceCredentialsMsg: { provisionDeviceKey: "k", provisionDeviceSecret: "s" },
    });
    for (const payload of [Buffer.from(request.finish()), Buffer.alloc(0)]) {
      peer.publish(topic, payload);
      expect((await peer.next("publish")).payload).toEqual(Buffer.from("0802", "hex"));
    }
    expect(room.onboarding.requests[0]).toMatchObject({ provisionDeviceKey: "k" });
  });

  it("MQTT-PRV-11 anything else is acknowledged as unknown, and ends the connection", async () => {
    await using room = await Room.open();
    const peer = await asking(room);
    peer.publish("v1/devices/me/telemetry", '{"a":1}');
    expect((await peer.next("puback")).reasonCode ?? 0x90).toBe(0x90);
    await peer.closed();
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x90);
  });

  it("MQTT-PRV-12 only the topic of the response may be subscribed", async () => {
    await using room = await Room.open();
    const peer = await asking(room);
    const subscriptions = ["/provision/response", "#"].map((filter) => ({ topic: filter, qos: 0 }));
    peer.send({ cmd: "subscribe", messageId: 1, subscriptions });
    expect((await peer.next("suback")).granted).toEqual([0, level === 5 ? 0x8f : 0x80]);
    peer.publish(topic, good);
    expect((await peer.next("publish")).qos).toBe(0);
  });

  it("a request that lacks something ends the connection, one that cannot be read is a payload error", async () => {
    await using room = await Room.open();
    const lacking = await asking(room);
    lacking.publish(topic, "{}");
    expect((await lacking.next("puback")).reasonCode ?? 0x83).toBe(0x83);
    await lacking.closed();
    const broken = await asking(room);
    broken.publish(topic, "[1]");
    if (level === 5) {
      expect((await broken.next("puback")).reasonCode).toBe(0x99);
      expect(await broken.stays()).toBe(true);
    } else {
      await broken.closed();
      expect(broken.packets).toEqual([]);
    }
  });
});
