import { fixed } from "@heddle/payload-codec/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { option, type Peer, serve, type TestServer } from "../testing/server.ts";
import { isAwake, powerOf } from "./power.ts";
import { blockBytes } from "./request.ts";

const text = (answer: { payload: Buffer } | undefined) => answer?.payload.toString();

describe("claims, provisioning and packages over CoAP", () => {
  let server: TestServer;
  let peer: Peer;
  beforeEach(async () => {
    server = await serve({}, 1, Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 251)));
    peer = await server.peer();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  async function ask(method: string, path: string, more: object = {}) {
    const before = peer.received.length;
    peer.request(method, path, more);
    await vi.waitFor(() => expect(peer.received.length).toBeGreaterThan(before));
    return peer.received[before];
  }

  it("COAP-14 a claim is taken, with a document or without", async () => {
    expect((await ask("POST", "api/v1/T1/claim", { payload: Buffer.from('{"secretKey":"k"}') }))?.code).toBe("2.01");
    expect((await ask("POST", "api/v1/T1/claim"))?.code).toBe("2.01");
    expect((await ask("POST", "api/v1/T1/claim", { payload: Buffer.from("{") }))?.code).toBe("4.00");
    expect(server.onboarding.claims.map(({ text }) => text)).toEqual(['{"secretKey":"k"}', ""]);
  });

  it("COAP-15 provisioning: 2.01 or 4.00, both with the reply; nothing readable is 4.00 without", async () => {
    const post = (payload: Buffer) => ask("POST", "api/v1/provision", { payload });
    const good = Buffer.from('{"provisionDeviceKey":"k","provisionDeviceSecret":"s"}');
    const made = await post(good);
    expect([made?.code, JSON.parse(text(made) ?? "")]).toMatchObject(["2.01", { status: "SUCCESS" }]);
    server.onboarding.reply = { status: "NOT_FOUND", errorMsg: "Provision data was not found!" };
    const refused = await post(good);
    expect([refused?.code, JSON.parse(text(refused) ?? "")]).toMatchObject(["4.00", { status: "NOT_FOUND" }]);
    const type = fixed("ProvisionDeviceRequest");
    const asked = type.encode({
      provisionDeviceCredentialsMsg: { provisionDeviceKey: "k", provisionDeviceSecret: "s" },
    });
    expect((await post(Buffer.from(asked.finish())))?.payload.toString("hex")).toBe("0802");
    const junk = await post(Buffer.from("[1]"));
    expect([junk?.code, junk?.payload.length]).toEqual(["4.00", 0]);
    expect((await ask("GET", "api/v1/provision"))?.code).toBe("4.00");
  });

  it("COAP-18 a package comes in blocks that are read as they are asked for", async () => {
    server.packages.FIRMWARE = {};
    const parts: Buffer[] = [];
    for (let num = 0, more = true; more; num++) {
      const answer = await ask("GET", "fw/T1", {
        options: [{ name: "Block2", value: blockBytes({ num, more: false, szx: 6 }) }],
      });
      expect(answer?.code).toBe("2.05");
      more = ((option(answer, "Block2") ?? 0) & 8) !== 0;
      parts.push(answer?.payload as Buffer);
    }
    expect(Buffer.concat(parts).equals(server.packages.bytes)).toBe(true);
    expect(Math.max(...server.packages.reads.map(({ from, to }) => to - from))).toBe(1_024);
  });

  it("COAP-19 nothing assigned is 4.04, another version 4.00, slices and what is beyond the end", async () => {
    expect((await ask("GET", "fw/T1"))?.code).toBe("4.04");
    expect((await ask("GET", "fw/NOPE"))?.code).toBe("4.01");
    expect((await ask("POST", "fw/T1"))?.code).toBe("4.05");
    server.packages.FIRMWARE = { title: "app", version: "1.2" };
    expect((await ask("GET", "sw/T1"))?.code).toBe("4.04");
    expect((await ask("GET", "fw/T1?title=app&version=1.3"))?.code).toBe("4.00");
    const slice = await ask("GET", "fw/T1?title=app&version=1.2&size=100&chunk=2");
    expect(slice?.payload.equals(server.packages.bytes.subarray(200, 300))).toBe(true);
    const beyond = await ask("GET", "fw/T1?size=100&chunk=500");
    expect([beyond?.code, beyond?.payload.length]).toEqual(["2.05", 0]);
  });

  it("PB-01 a Protobuf profile reads and writes Protobuf", async () => {
    const schema = 'syntax = "proto3"; message P { int32 t = 1; }';
    server.platform.device("P", {
      transportType: "COAP",
      transport: {
        type: "COAP",
        coapDeviceTypeConfiguration: {
          transportPayloadTypeConfiguration: {
            transportPayloadType: "PROTOBUF",
            deviceTelemetryProtoSchema: schema,
            deviceAttributesProtoSchema: schema,
          },
        },
      },
    });
    expect((await ask("POST", "api/v1/P/telemetry", { payload: Buffer.from("0805", "hex") }))?.code).toBe("2.01");
    expect(server.platform.telemetryTexts).toEqual(['{"t":5}']);
    expect((await ask("POST", "api/v1/P/telemetry", { payload: Buffer.from('{"t":5}') }))?.code).toBe("4.00");
    server.platform.client = { a: "1" };
    const attributes = await ask("GET", "api/v1/P/attributes");
    expect(option(attributes, "Content-Format")).toBe(42);
    const { clientAttributeList } = fixed("GetAttributeResponse").decode(attributes?.payload as Buffer) as any;
    expect(clientAttributeList[0].kv.key).toBe("a");
  });

  it("the form without a token needs a certificate", async () => {
    expect((await ask("POST", "api/v1/telemetry", { payload: Buffer.from("{}") }))?.code).toBe("4.01");
    expect((await ask("POST", "api/v1/rpc/5", { payload: Buffer.from("{}") }))?.code).toBe("4.01");
  });
});

describe("devices that sleep", () => {
  const device = (settings: object, own: object = {}) => ({
    transport: { clientSettings: settings },
    ownTransport: own as Record<string, unknown>,
  });

  it("are reachable as their settings say, the device's own before its profile's", () => {
    const psm = powerOf(device({ powerMode: "PSM", psmActivityTimer: 100 }));
    expect([0, 99, 100].map((ms) => isAwake(psm, ms))).toEqual([true, true, false]);
    const edrx = powerOf(
      device({ powerMode: "PSM" }, { powerMode: "E_DRX", edrxCycle: 1_000, pagingTransmissionWindow: 100 }),
    );
    expect([0, 100, 999, 1_050, 1_100].map((ms) => isAwake(edrx, ms))).toEqual([true, false, false, true, false]);
    expect(powerOf(device({ powerMode: "DRX" }))).toEqual({ mode: "always" });
    expect(powerOf(device({ powerMode: "E_DRX" }))).toEqual({ mode: "always" });
  });

  it("COAP-26 what is meant for one that sleeps goes out when it is heard again", async () => {
    await using server = await serve();
    const clientSettings = { powerMode: "PSM", psmActivityTimer: 150 };
    server.platform.device("S", { transportType: "COAP", transport: { type: "COAP", clientSettings } });
    const peer = await server.peer();
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
    peer.request("GET", "api/v1/S/attributes", { options: [{ name: "Observe", value: Buffer.alloc(0) }] });
    await vi.waitFor(() => expect(peer.received).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 250));
    const session = server.platform.sessions[0];
    let delivered = false;
    const push = session?.down.deliverAttributes('{"k":1}', { signal: new AbortController().signal }).then(() => {
      delivered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([peer.received.length, delivered]).toEqual([1, false]);
    peer.request("POST", "api/v1/S/telemetry", { token: Buffer.from("t2"), payload: Buffer.from("{}") });
    await push;
    expect(peer.received.some((message) => message.payload.toString() === '{"k":1}')).toBe(true);
    expect(server.platform.telemetryTexts).toEqual(
      expect.arrayContaining([
        '{"transportLog":"Info: Client is sleeping!"}',
        '{"transportLog":"Info: Client is awake!"}',
      ]),
    );
  });
});
