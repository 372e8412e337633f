import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Peer } from "../../plugins/transport-mqtt/testing/peer.ts";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

const responses = "v1/devices/me/rpc/response";
let server: Server;
let rest: RestClient;

/** A device of MQTT 3.1.1 that confirms and answers only when it is told to. */
class CalledDevice extends Peer implements Disposable {
  static async connect(token: string): Promise<CalledDevice> {
    const device = new CalledDevice(server.port("MQTT"), 4);
    device.connect({ username: token });
    await device.next("connack", 10_000);
    return device;
  }

  async subscribe(): Promise<void> {
    const topic = "v1/devices/me/rpc/request/+";
    this.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos: 1 }] });
    await this.next("suback");
  }

  async called(): Promise<{ readonly id: number; readonly n: number; readonly messageId: number }> {
    const { topic, payload, messageId = 0 } = await this.next("publish", 10_000);
    return { id: Number(topic.split("/").at(-1)), n: JSON.parse(String(payload)).params.n, messageId };
  }

  confirm(messageId: number): void {
    this.send({ cmd: "puback", messageId });
  }

  /** Resolves when the server has the answer for good. */
  async answer(id: number, n: number): Promise<void> {
    this.publish(`${responses}/${id}`, JSON.stringify({ n }), { messageId: 100 });
    await this.next("puback", 10_000);
  }

  /** What it is called with before it hears of a new call `fence`; confirmed all, and the fence left out. */
  async calledBefore(fence: number): Promise<number[]> {
    for (const heard: number[] = []; ; ) {
      const { n, messageId } = await this.called();
      this.confirm(messageId);
      if (n === fence) return heard;
      heard.push(n);
    }
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

interface Called {
  readonly deviceId: string;
  readonly token: string;
  readonly rpcId: string;
  /** As the device was told before the crash. */
  readonly requestId: number | undefined;
}

async function newDevice(name: string): Promise<{ deviceId: string; token: string }> {
  const token = `token-${name}`;
  const credentials = { credentialsType: "ACCESS_TOKEN", credentialsId: token };
  const { id } = await rest.post("/api/device-with-credentials", { device: { name: `rpc ${name}` }, credentials });
  return { deviceId: id.id, token };
}

async function call(deviceId: string, n: number, more: { kind?: string; [field: string]: unknown } = {}) {
  const { kind = "twoway", ...fields } = more;
  const body = { method: "m", params: { n }, persistent: true, timeout: 600_000, ...fields };
  return (await rest.post(`/api/rpc/${kind}/${deviceId}`, body))?.rpcId as string;
}

async function until(rpcId: string, status: string, ms = 20_000): Promise<any> {
  for (const end = performance.now() + ms; ; ) {
    const record = await rest.get(`/api/rpc/persistent/${rpcId}`);
    if (record.status === status) return record;
    if (performance.now() > end) throw new Error(`not ${status} within ${ms} ms: ${JSON.stringify(record)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** One device for each state in which a call may be when the server dies; the call's `n` is 7. */
const inState = {
  queued: async (): Promise<Called> => {
    const device = await newDevice("queued");
    const rpcId = await call(device.deviceId, 7);
    await until(rpcId, "QUEUED");
    return { ...device, rpcId, requestId: undefined };
  },
  expiring: async (): Promise<Called> => {
    const device = await newDevice("expiring");
    return { ...device, rpcId: await call(device.deviceId, 7, { timeout: 5_000 }), requestId: undefined };
  },
  /** Two calls before it: their ids are free again when the server comes back. */
  sent: async (): Promise<Called> => {
    const device = await newDevice("sent");
    using peer = await CalledDevice.connect(device.token);
    await peer.subscribe();
    for (const n of [1, 2]) {
      await until(await call(device.deviceId, n, { kind: "oneway" }).then(confirmedBy(peer)), "DELIVERED");
    }
    const rpcId = await call(device.deviceId, 7);
    const { id } = await peer.called();
    await until(rpcId, "SENT");
    return { ...device, rpcId, requestId: id };
  },
  delivered:
    (name: string, kind = "twoway") =>
    async (): Promise<Called> => {
      const device = await newDevice(name);
      using peer = await CalledDevice.connect(device.token);
      await peer.subscribe();
      const rpcId = await call(device.deviceId, 7, { kind });
      const { id, messageId } = await peer.called();
      peer.confirm(messageId);
      await until(rpcId, "DELIVERED");
      return { ...device, rpcId, requestId: id };
    },
  timedOut: async (): Promise<Called> => {
    const device = await newDevice("timed out");
    using peer = await CalledDevice.connect(device.token);
    await peer.subscribe();
    const rpcId = await call(device.deviceId, 7);
    const { id } = await peer.called();
    await until(rpcId, "TIMEOUT", 30_000);
    return { ...device, rpcId, requestId: id };
  },
  answered: async (): Promise<Called> => {
    const device = await newDevice("answered");
    using peer = await CalledDevice.connect(device.token);
    await peer.subscribe();
    const rpcId = await call(device.deviceId, 7);
    const { id, messageId } = await peer.called();
    peer.confirm(messageId);
    await peer.answer(id, 7);
    return { ...device, rpcId, requestId: id };
  },
};

function confirmedBy(peer: CalledDevice) {
  return async (rpcId: string) => {
    peer.confirm((await peer.called()).messageId);
    return rpcId;
  };
}

/** The answer is on its way when the server dies: nobody knows whether it arrived. */
async function answeringAtTheEnd(): Promise<Called & { readonly peer: CalledDevice; answer(): void }> {
  const device = await newDevice("answering");
  const peer = await CalledDevice.connect(device.token);
  await peer.subscribe();
  const rpcId = await call(device.deviceId, 7);
  const { id, messageId } = await peer.called();
  peer.confirm(messageId);
  await until(rpcId, "DELIVERED");
  const answer = () => peer.publish(`${responses}/${id}`, '{"n":7}', { messageId: 100 });
  return { ...device, rpcId, requestId: id, peer, answer };
}

describe("persistent calls after kill -9 (docs/design/rpc.md)", () => {
  let at: Record<"queued" | "expiring" | "sent" | "delivered" | "early" | "oneway" | "timedOut" | "answered", Called>;
  let answering: Awaited<ReturnType<typeof answeringAtTheEnd>>;

  beforeAll(async () => {
    server = await Server.start();
    rest = await RestClient.signIn(server.http);
    const [queued, sent, delivered, early, oneway, timedOut, answered] = await Promise.all([
      inState.queued(),
      inState.sent(),
      inState.delivered("delivered")(),
      inState.delivered("early")(),
      inState.delivered("one-way", "oneway")(),
      inState.timedOut(),
      inState.answered(),
    ]);
    answering = await answeringAtTheEnd();
    at = { queued, expiring: await inState.expiring(), sent, delivered, early, oneway, timedOut, answered };
    answering.answer();
    await server.kill();
    server = await Server.start({ dataDir: server.dataDir });
    rest = await RestClient.signIn(server.http);
  }, 120_000);
  afterAll(async () => {
    answering?.peer.destroy();
    await server?.[Symbol.asyncDispose]();
  });

  /** Subscribes, is called once with the id it knows, answers; the answer is the call's. */
  async function comesAgain({ token, rpcId, requestId }: Called): Promise<void> {
    using peer = await CalledDevice.connect(token);
    await peer.subscribe();
    const { id, n, messageId } = await peer.called();
    expect([id, n]).toEqual([requestId ?? id, 7]);
    peer.confirm(messageId);
    await peer.answer(id, 7);
    expect((await until(rpcId, "SUCCESSFUL")).response).toEqual({ n: 7 });
  }

  it("QUEUED: goes out when the device subscribes", async () => {
    expect((await rest.get(`/api/rpc/persistent/${at.queued.rpcId}`)).status).toBe("QUEUED");
    await comesAgain(at.queued);
  });

  it("QUEUED, its time is over: EXPIRED although nobody heard of the device", async () => {
    await until(at.expiring.rpcId, "EXPIRED");
  });

  it("SENT, unconfirmed: goes out again with the same id", async () => {
    expect(at.sent.requestId).toBe(2);
    await comesAgain(at.sent);
  });

  it("DELIVERED, unanswered: goes out again with the same id, and new calls leave that id alone", async () => {
    const { deviceId, token, rpcId, requestId } = at.delivered;
    expect(requestId).toBe(0);
    using peer = await CalledDevice.connect(token);
    await peer.subscribe();
    const again = await peer.called();
    expect(again).toMatchObject({ id: 0, n: 7 });
    peer.confirm(again.messageId);
    const next = await call(deviceId, 8);
    const other = await peer.called();
    expect(other).toMatchObject({ id: 1, n: 8 });
    peer.confirm(other.messageId);
    await peer.answer(1, 8);
    await peer.answer(0, 7);
    expect((await until(rpcId, "SUCCESSFUL")).response).toEqual({ n: 7 });
    expect((await until(next, "SUCCESSFUL")).response).toEqual({ n: 8 });
  });

  it("DELIVERED, answered before it goes out again: the answer counts, and nothing goes out", async () => {
    const { deviceId, token, rpcId, requestId } = at.early;
    using peer = await CalledDevice.connect(token);
    await peer.answer(requestId as number, 7);
    expect((await until(rpcId, "SUCCESSFUL")).response).toEqual({ n: 7 });
    await peer.subscribe();
    await call(deviceId, 9);
    expect(await peer.calledBefore(9)).toEqual([]);
  });

  it("DELIVERED one-way: is over", async () => {
    const { deviceId, token, rpcId } = at.oneway;
    using peer = await CalledDevice.connect(token);
    await peer.subscribe();
    await call(deviceId, 9);
    expect(await peer.calledBefore(9)).toEqual([]);
    expect((await rest.get(`/api/rpc/persistent/${rpcId}`)).status).toBe("DELIVERED");
  });

  it("TIMEOUT: goes out again with the same id", async () => {
    await comesAgain(at.timedOut);
  });

  it("answered and confirmed: the answer is kept, and nothing goes out", async () => {
    const { deviceId, token, rpcId } = at.answered;
    expect(await rest.get(`/api/rpc/persistent/${rpcId}`)).toMatchObject({ status: "SUCCESSFUL", response: { n: 7 } });
    using peer = await CalledDevice.connect(token);
    await peer.subscribe();
    await call(deviceId, 9);
    expect(await peer.calledBefore(9)).toEqual([]);
  });

  it("answered, unconfirmed: the answer is kept, or asked for again", async () => {
    const { deviceId, token, rpcId, requestId, peer: before } = answering;
    const confirmed = before.packets.some(({ cmd }) => cmd === "puback");
    const { status } = await rest.get(`/api/rpc/persistent/${rpcId}`);
    expect(status).toEqual(confirmed ? "SUCCESSFUL" : expect.stringMatching(/^(DELIVERED|SUCCESSFUL)$/));
    using peer = await CalledDevice.connect(token);
    // As a client does with what was not confirmed.
    await peer.answer(requestId as number, 7);
    expect((await until(rpcId, "SUCCESSFUL")).response).toEqual({ n: 7 });
    await peer.subscribe();
    await call(deviceId, 9);
    expect(await peer.calledBefore(9)).toEqual([]);
  });
});
