import { Fault } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { levels, Peer } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";

const refusals = [
  { row: "2, CRED-04", who: { username: "x", password: Buffer.from("y"), clientId: "c" }, v3: 5, v5: 0x86 },
  { row: "3, CRED-03", who: { username: "x", clientId: "c" }, v3: 5, v5: 0x86 },
  { row: "4, CRED-05", who: { clientId: "c" }, v3: 2, v5: 0x85 },
  { row: "5, CRED-06", who: { clientId: " " }, v3: 5, v5: 0x87 },
] as const;

describe.each(levels)("CONNECT, level %i", (level) => {
  it("MQTT-9, CRED-01, CRED-02, row 1: a token as user name, whatever else is shown", async () => {
    await using room = await Room.open();
    const peer = room.peer(level);
    peer.connect({ username: "T", password: Buffer.from("any"), clientId: "any" });
    const answer = await peer.next("connack");
    expect(answer).toMatchObject(level === 5 ? { reasonCode: 0 } : { returnCode: 0 });
    expect(await peer.stays()).toBe(true);
  });

  it.each(refusals)("MQTT-9 row $row", async ({ who, v3, v5 }) => {
    await using room = await Room.open();
    const peer = room.peer(level);
    peer.connect(who);
    await peer.closed();
    const code = (level === 5 ? v5 : v3).toString(16).padStart(2, "0");
    expect(peer.hex).toBe(level === 5 ? `200300${code}00e002${code}00` : `200200${code}`);
    expect(room.rejected).toEqual(["credentials"]);
  });

  it.each([
    {
      row: "7, CRED-25",
      set: (room: Room) => room.device("T", { token: "T", identity: { transportType: "COAP" } }),
      v5: 0x88,
      off: 0x89,
    },
    {
      row: "7, credentials cannot be asked",
      set: (room: Room) => {
        room.platform.authenticateFault = new Fault("unavailable", "store.down", "x");
      },
      v5: 0x88,
      off: 0x89,
    },
    {
      row: "8, LIM-02",
      set: (room: Room) => {
        room.platform.openFault = new Fault("exhausted", "device.rate-limit", "x");
      },
      v5: 0x9f,
      off: 0x96,
    },
    {
      row: "9",
      set: (room: Room) => {
        room.platform.openFault = new Fault("internal", "internal", "x");
      },
      v5: 0x88,
      off: 0x83,
    },
    {
      row: "10, Sparkplug",
      set: (room: Room) =>
        room.device("T", { token: "T", identity: { transportType: "MQTT", transport: { sparkplug: true } } }),
      v5: 0x88,
      off: 0x83,
    },
  ])("MQTT-9 row $row", async ({ set, v5, off }) => {
    await using room = await Room.open();
    set(room);
    const peer = room.peer(level);
    peer.connect({ username: "T" });
    await peer.closed();
    expect(peer.hex).toBe(level === 5 ? `200300${v5.toString(16)}00e002${off.toString(16)}00` : "20020003");
  });

  it("CRED-07 to CRED-13: basic credentials, all that was shown reaches the platform", async () => {
    await using room = await Room.open();
    room.device("B", { basic: { clientId: "c", userName: "u", password: "p" } });
    const good = room.peer(level);
    good.connect({ clientId: "c", username: "u", password: Buffer.from("p") });
    await good.next("connack");
    expect(room.platform.proofs).toEqual([{ kind: "basic", clientId: "c", userName: "u", password: "p" }]);
    const bad = room.peer(level);
    bad.connect({ clientId: "c", username: "u" });
    await bad.closed();
    expect(bad.hex).toContain(level === 5 ? "20030086" : "20020005");
    expect(await good.stays()).toBe(true);
  });

  it("CRED-10: a client id alone", async () => {
    await using room = await Room.open();
    room.device("C", { basic: { clientId: "c" } });
    const peer = await room.connected(level, undefined, { username: undefined, clientId: "c" });
    expect(await peer.stays()).toBe(true);
    expect(room.platform.proofs[0]).toMatchObject({ kind: "basic", clientId: "c", userName: "" });
  });

  it("MQTT-CON-14: session present mirrors the clean flag, and no subscription is restored", async () => {
    await using room = await Room.open();
    for (const clean of [true, false, false]) {
      const peer = room.peer(level);
      peer.connect({ username: "T", clean, clientId: "c" });
      expect((await peer.next("connack")).sessionPresent).toBe(!clean);
      expect(room.platform.session("T").subscribed.size).toBe(0);
      if (!clean) peer.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "v2/a", qos: 1 }] });
      if (!clean) await peer.next("suback");
    }
  });

  it("MQTT-13, MQTT-CON-01: CONNECT, SUBSCRIBE and 60 PUBLISH in one segment are answered in order", async () => {
    await using room = await Room.open();
    room.platform.authenticateMs = 200;
    const peer = room.peer(level);
    const publishes = Array.from({ length: 60 }, (_, i) => ({
      cmd: "publish",
      topic: "v1/devices/me/telemetry",
      payload: `{"n":${i}}`,
      qos: 1,
      messageId: i + 2,
    }));
    peer.send(
      {
        cmd: "connect",
        protocolId: level === 3 ? "MQIsdp" : "MQTT",
        protocolVersion: level,
        clean: true,
        clientId: "c",
        username: "T",
        keepalive: 0,
      },
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "v1/devices/me/attributes", qos: 1 }] },
      ...publishes,
    );
    await peer.until(({ packets }) => packets.length === 62, "62 answers");
    expect(peer.packets.map(({ cmd, messageId }) => `${cmd} ${messageId ?? ""}`)).toEqual([
      "connack ",
      "suback 1",
      ...publishes.map(({ messageId }) => `puback ${messageId}`),
    ]);
    expect(room.texts()).toEqual(publishes.map(({ payload }) => payload));
  });

  it("MQTT-13: more than 100 packets behind the CONNECT end it with 0x97", async () => {
    await using room = await Room.open();
    room.platform.authenticateMs = 200;
    const peer = room.peer(level);
    peer.connect({ username: "T" });
    peer.send(...Array.from({ length: 101 }, () => ({ cmd: "pingreq" })));
    await peer.closed();
    expect(peer.hex).toBe(level === 5 ? "e0029700" : "");
    expect(room.platform.heard).toEqual([]);
  });

  it("MQTT-CON-02: what comes before the CONNECT gets no answer", async () => {
    await using room = await Room.open();
    const peer = room.peer(level);
    peer.publish("v1/devices/me/telemetry", "{}");
    await peer.closed();
    expect(peer.hex).toBe("");
  });

  it("MQTT-11, MQTT-CON-11: one device with two client ids is a takeover, after the new CONNACK", async () => {
    await using room = await Room.open();
    const old = await room.connected(level, "T", { clientId: "a" });
    const fresh = room.peer(level);
    fresh.connect({ username: "T", clientId: "b" });
    const { at } = await fresh.next("connack");
    expect(await old.closed(1000)).toBeGreaterThan(at);
    if (level === 5) expect((await old.next("disconnect")).reasonCode).toBe(0x8e);
    expect(await fresh.stays()).toBe(true);
    expect(room.platform.session("T").disposed).toBe(false);
  });

  it("MQTT-11, MQTT-CON-12: one client id on two devices, both stay", async () => {
    await using room = await Room.open();
    const one = await room.connected(level, "T", { clientId: "same" });
    const two = await room.connected(level, "U", { clientId: "same" });
    expect(await one.stays()).toBe(true);
    expect(await two.stays()).toBe(true);
  });

  it.each([
    ["credentials", 0x98],
    ["deleted", 0x98],
    ["replaced", 0x8e],
    ["idle", 0x83],
    ["leaving", 0x8b],
  ] as const)(
    "MQTT-10, CRED-26, CRED-28, MQTT-CON-10: a session ended as %s right after the CONNACK",
    async (why, code) => {
      await using room = await Room.open();
      const peer = room.peer(level);
      peer.connect({ username: "T" });
      const { at } = await peer.next("connack");
      room.platform.session("T").finish(why);
      expect((await peer.closed(1000)) - at).toBeLessThan(1000);
      if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(code);
      expect(peer.packets.filter(({ cmd }) => cmd === "disconnect")).toEqual([]);
    },
  );

  it("MQTT-20: keep-alive 1 s, silence ends it between 1.5 and 2.2 s (0x8D)", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level, "T", { keepalive: 1 });
    const begun = performance.now();
    const took = (await peer.closed()) - begun;
    expect(took).toBeGreaterThan(1450);
    expect(took).toBeLessThan(2200);
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x8d);
  });

  it("MQTT-CON-16: DISCONNECT closes and ends the session; MQTT-CON-08: a will is dropped", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level, "T", {
      will: { topic: "v1/devices/me/telemetry", payload: Buffer.from("{}"), qos: 1 },
    });
    const session = room.platform.session("T");
    peer.send({ cmd: "disconnect" });
    await peer.closed();
    expect(session.disposed).toBe(true);
    const rude = await room.connected(level, "T", {
      will: { topic: "v1/devices/me/telemetry", payload: Buffer.from("{}"), qos: 1 },
    });
    const second = room.platform.session("T");
    rude.destroy();
    await expect.poll(() => second.disposed).toBe(true);
    expect(room.platform.heard).toEqual([]);
  });
});

it("MQTT-9, the id rules of 3.1: 1 to 23 characters, else closed without a CONNACK", async () => {
  await using room = await Room.open();
  for (const clientId of ["x".repeat(24)]) {
    const peer = room.peer(3);
    peer.connect({ username: "T", clientId });
    await peer.closed();
    expect(peer.hex).toBe("");
  }
  const longest = await room.connected(3, "T", { clientId: "x".repeat(23) });
  expect(await longest.stays()).toBe(true);
});

it("MQTT-CON-15: protocol level 9 is closed without a CONNACK", async () => {
  await using room = await Room.open();
  const peer = new Peer(room.port, 4);
  peer.socket.write(Buffer.from("100d00044d5154540902003c000163", "hex"));
  await peer.closed();
  expect(peer.hex).toBe("");
});

it("a second CONNECT is a protocol error", async () => {
  await using room = await Room.open();
  const peer = await room.connected(5);
  peer.connect({ username: "T" });
  expect((await peer.next("disconnect")).reasonCode).toBe(0x82);
  await peer.closed();
});

it("a stop says 0x8B and closes within a second", async () => {
  await using room = await Room.open();
  const [peer, old] = [await room.connected(5), await room.connected(4, "U")];
  const stopping = performance.now();
  await room.transport[Symbol.asyncDispose]();
  expect(performance.now() - stopping).toBeLessThan(1500);
  expect((await peer.next("disconnect")).reasonCode).toBe(0x8b);
  await old.closed();
});

it("MQTT-10: messages under way at a takeover do not change its reason (0x8E)", async () => {
  await using room = await Room.open();
  const old = await room.connected(5);
  const { closed } = room.platform.session("T");
  room.platform.commit = () =>
    new Promise((_, reject) => closed.addEventListener("abort", () => reject(closed.reason), { once: true }));
  old.publish("v2/t", "{}");
  await expect.poll(() => room.platform.heard.length).toBe(1);
  await room.connected(5);
  expect((await old.next("disconnect")).reasonCode).toBe(0x8e);
});

it("what the platform throws ends one connection with 0x8B and nothing else", async () => {
  await using room = await Room.open();
  const [peer, other] = [await room.connected(5), await room.connected(5, "U")];
  room.platform.session("T").subscribe = () => {
    throw new Error("defect");
  };
  peer.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "v2/a", qos: 1 }] });
  expect((await peer.next("disconnect")).reasonCode).toBe(0x8b);
  await peer.closed();
  expect(await other.stays()).toBe(true);
});

it("a session that is not there in time is refused", async () => {
  await using room = await Room.open({ connectMs: 300 });
  room.platform.authenticate = (_by, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const peer = room.peer(4);
  peer.connect({ username: "T" });
  expect((await peer.next("connack")).returnCode).toBe(3);
  await peer.closed();
});
