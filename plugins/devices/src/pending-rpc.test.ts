import type { RpcCall, RpcDocument } from "@heddle/plugin-sdk";
import { Fault, rpcCollection } from "@heddle/plugin-sdk";
import { MemoryEntityStore, silentLog, steppedWorld } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { PendingRpc, type RpcConfig } from "./pending-rpc.ts";

const call = { signal: new AbortController().signal };
const defaults: RpcConfig = { strategy: "BURST", responseTimeout: 30_000, closeOnTimeout: false };

/** A device with one session that confirms when told to. */
function setUp(config: Partial<RpcConfig> = {}, store = new MemoryEntityStore()) {
  const world = steppedWorld();
  const sent: { requestId: number; method: string; confirm(): void; fail(error: Fault): void }[] = [];
  const statuses: string[] = [];
  const closed: string[] = [];
  let here = true;
  const rpcs = store.collection(rpcCollection);
  const rpc = new PendingRpc({
    world,
    log: silentLog,
    rpcs,
    ...call,
    config: { ...defaults, ...config },
    targets: () => (here ? [{ session: "s", node: "n" }] : []),
    deliver: (_to, { requestId, call: { method } }, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        sent.push({ requestId, method, confirm: resolve, fail: reject });
      }),
    close: ({ session }) => {
      closed.push(session);
      here = false;
    },
    changed: ({ status }) => statuses.push(status),
  });
  let count = 0;
  const make = (method: string, more: Partial<RpcCall> = {}): RpcCall => ({
    ...{ tenantId: "t", deviceId: "d", id: `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`, method },
    ...{ params: "{}", oneway: false, persistent: false, expiresAt: world.now() + 60_000, ...more },
  });
  const stored = async (id: string) => (await rpcs.get([id], call))[0]?.value as RpcDocument;
  return {
    ...{ world, sent, statuses, closed, rpc, make, stored, store },
    subscribed: (is: boolean) => {
      here = is;
    },
    methods: () => sent.map(({ method }) => method),
  };
}

describe("calls to a device", () => {
  it("MQTT-RPC-03 ids count from 0; all go out at once, answers in any order", async () => {
    const { rpc, make, sent, world } = setUp();
    const [a, b] = [rpc.call(make("a")), rpc.call(make("b"))];
    await world.settle();
    expect(sent.map(({ requestId, method }) => [requestId, method])).toEqual([
      [0, "a"],
      [1, "b"],
    ]);
    await rpc.reply(1, '"second"');
    await rpc.reply(0, '"first"');
    await rpc.reply(0, '"late"');
    expect([await a, await b]).toEqual([{ response: '"first"' }, { response: '"second"' }]);
  });

  it("MQTT-RPC-06, MQTT-RPC-10: what waits goes out with a subscription, and again with the next", async () => {
    const { rpc, make, methods, subscribed, world } = setUp();
    subscribed(false);
    const waiting = rpc.call(make("a"));
    await world.settle();
    expect(methods()).toEqual([]);
    subscribed(true);
    rpc.resend();
    rpc.resend();
    expect(methods()).toEqual(["a", "a"]);
    // Another call does not send it a third time.
    void rpc.call(make("b"));
    expect(methods()).toEqual(["a", "a", "b"]);
    await world.pass(60_000);
    // Its first delivery was at a subscription (corrections, 2.7 rule 3).
    expect(await waiting).toEqual({ error: "NO_ACTIVE_CONNECTION" });
  });

  it("is not sent again while its answer is being written down, and stays answered", async () => {
    const { rpc, make, methods, stored, statuses, world } = setUp();
    const a = make("a", { persistent: true });
    await rpc.call(a);
    const answered = rpc.reply(0, '"yes"');
    rpc.resend();
    await answered;
    await world.settle();
    expect(methods()).toEqual(["a"]);
    expect(await stored(a.id)).toMatchObject({ status: "SUCCESSFUL", response: '"yes"' });
    expect(statuses).toEqual(["QUEUED", "SENT", "SUCCESSFUL"]);
  });

  it("delivered on its way and not answered is a time-out, also when it was sent again", async () => {
    const { rpc, make, sent, world } = setUp();
    const waiting = rpc.call(make("a"));
    sent[0]?.confirm();
    rpc.resend();
    await world.pass(60_000);
    expect(await waiting).toEqual({ error: "TIMEOUT" });
  });

  it("SEQUENTIAL_ON_ACK_FROM_DEVICE: the next goes out when the one before is confirmed", async () => {
    const { rpc, make, sent, methods, world } = setUp({ strategy: "SEQUENTIAL_ON_ACK_FROM_DEVICE" });
    void rpc.call(make("a"));
    void rpc.call(make("b", { oneway: true }));
    void rpc.call(make("c"));
    await world.settle();
    expect(methods()).toEqual(["a"]);
    sent[0]?.confirm();
    await world.settle();
    expect(methods()).toEqual(["a", "b"]);
    sent[1]?.confirm();
    await world.settle();
    expect(methods()).toEqual(["a", "b", "c"]);
  });

  it("SEQUENTIAL_ON_RESPONSE_FROM_DEVICE: the next goes out when the one before is answered, or fails after 30 s", async () => {
    const { rpc, make, sent, methods, stored, world } = setUp({ strategy: "SEQUENTIAL_ON_RESPONSE_FROM_DEVICE" });
    const [a, b, c] = [make("a"), make("b", { persistent: true }), make("c")];
    void rpc.call(a);
    await rpc.call(b);
    void rpc.call(c);
    sent[0]?.confirm();
    await world.settle();
    expect(methods()).toEqual(["a"]);
    await rpc.reply(0, "{}");
    await world.settle();
    expect(methods()).toEqual(["a", "b"]);
    sent[1]?.confirm();
    await world.pass(29_000);
    expect(methods()).toEqual(["a", "b"]);
    await world.pass(2_000);
    expect(methods()).toEqual(["a", "b", "c"]);
    const { status, response } = await stored(b.id);
    expect([status, response]).toEqual([
      "FAILED",
      '{"error":"There was a timeout awaiting for RPC response from device."}',
    ]);
  });

  it("one that is not confirmed does not hold up the others", async () => {
    const { rpc, make, methods, world } = setUp({ strategy: "SEQUENTIAL_ON_ACK_FROM_DEVICE" });
    await rpc.call(make("a", { persistent: true }));
    void rpc.call(make("b"));
    await world.pass(10_000);
    expect(methods()).toEqual(["a", "b"]);
  });
});

describe("persistent calls", () => {
  it("MQTT-RPC-12 SENT, DELIVERED, SUCCESSFUL, with the answer", async () => {
    const { rpc, make, sent, statuses, stored, world } = setUp();
    const a = make("a", { persistent: true });
    expect(await rpc.call(a)).toEqual({});
    await world.settle();
    sent[0]?.confirm();
    await world.settle();
    await rpc.reply(0, '{"ok": true}');
    expect(statuses).toEqual(["QUEUED", "SENT", "DELIVERED", "SUCCESSFUL"]);
    expect((await stored(a.id)).response).toBe('{"ok":true}');
  });

  it("MQTT-RPC-13 one-way ends DELIVERED; what is no JSON becomes the text of an error", async () => {
    const { rpc, make, sent, stored, world } = setUp();
    const [a, b] = [make("a", { persistent: true, oneway: true }), make("b", { persistent: true })];
    await rpc.call(a);
    await rpc.call(b);
    sent[0]?.confirm();
    await world.settle();
    await rpc.reply(1, "plain");
    expect((await stored(a.id)).status).toBe("DELIVERED");
    expect(await stored(b.id)).toMatchObject({ status: "FAILED", response: '{"error":"plain"}' });
  });

  it("MQTT-RPC-14 TIMEOUT after 10 s, again with each subscription, FAILED when the retries are used up", async () => {
    const { rpc, make, statuses, stored, world } = setUp();
    const a = make("a", { persistent: true, retries: 1 });
    await rpc.call(a);
    await world.pass(10_000);
    expect(statuses).toEqual(["QUEUED", "SENT", "TIMEOUT"]);
    rpc.resend();
    await world.pass(10_000);
    expect(statuses).toEqual(["QUEUED", "SENT", "TIMEOUT", "SENT", "FAILED"]);
    expect((await stored(a.id)).response).toContain("Retry attempts set: 1");
  });

  it("MQTT-RPC-14 a transport that gives up first counts like one that waits", async () => {
    const { rpc, make, sent, statuses, world } = setUp();
    await rpc.call(make("a", { persistent: true, retries: 0 }));
    await world.settle();
    sent[0]?.fail(new Fault("unavailable", "mqtt.unconfirmed", "not within 10 s"));
    await world.settle();
    expect(statuses).toEqual(["QUEUED", "SENT", "FAILED"]);
  });

  it("MQTT-RPC-15 EXPIRED when the deadline passes, also one that had passed before", async () => {
    const { rpc, make, stored, subscribed, world } = setUp();
    subscribed(false);
    const [a, b] = [make("a", { persistent: true }), make("b", { persistent: true, expiresAt: world.now() })];
    await rpc.call(a);
    await rpc.call(b);
    await world.pass(60_000);
    expect([(await stored(a.id)).status, (await stored(b.id)).status]).toEqual(["EXPIRED", "EXPIRED"]);
  });

  it("a device that confirms nothing is disconnected where the option says so, and the call waits for it", async () => {
    const { rpc, make, closed, stored, world } = setUp({ closeOnTimeout: true });
    const a = make("a", { persistent: true, retries: 0 });
    await rpc.call(a);
    await world.pass(10_000);
    expect(closed).toEqual(["s"]);
    expect((await stored(a.id)).status).toBe("QUEUED");
  });

  it("a new owner goes on: open ones under their ids, finished ones not at all", async () => {
    const store = new MemoryEntityStore();
    const before = setUp({}, store);
    const calls = ["queued", "sent", "delivered", "answered", "oneway"].map((method) =>
      before.make(method, { persistent: true, oneway: method === "oneway" }),
    );
    for (const one of calls.slice(1)) await before.rpc.call(one);
    await before.world.settle();
    for (const { method, confirm } of before.sent) if (method !== "sent") confirm();
    await before.world.settle();
    await before.rpc.reply(2, "{}");
    before.subscribed(false);
    await before.rpc.call(calls[0] as RpcCall);
    await before.world.settle();
    const after = setUp({}, store);
    await after.rpc.load("d");
    after.rpc.resend();
    const again = after.sent.map(({ method, requestId }) => [method, requestId]);
    expect(again.sort()).toEqual([
      ["delivered", 1],
      ["queued", 2],
      ["sent", 0],
    ]);
    await after.rpc.reply(1, '"late"');
    expect((await after.stored(calls[2]?.id ?? "")).status).toBe("SUCCESSFUL");
  });

  it("an answer that cannot be stored is not taken, and may come again", async () => {
    const { rpc, make, sent, store, stored, world } = setUp();
    const a = make("a", { persistent: true });
    await rpc.call(a);
    await world.settle();
    sent[0]?.confirm();
    await world.settle();
    const rpcs = store.collection(rpcCollection) as { put: unknown };
    const { put } = rpcs;
    rpcs.put = () => Promise.reject(new Error("store is away"));
    await expect(rpc.reply(0, "{}")).rejects.toThrow("store is away");
    rpcs.put = put;
    await rpc.reply(0, "{}");
    expect((await stored(a.id)).status).toBe("SUCCESSFUL");
  });
});
