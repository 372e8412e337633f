import type { ClientRpcRequest, DeviceIdentity, Uplinks } from "@heddle/plugin-sdk";
import {
  type AttributesReply,
  type AttributesWanted,
  type ClientRpc,
  Fault,
  HttpListener,
  Onboarding,
  OtaPackages,
  Sessions,
} from "@heddle/plugin-sdk";
import {
  describePlugin,
  describeTransport,
  FakeOnboarding,
  FakePackages,
  FakeSessions,
} from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OneMount, type Running, running } from "../testing/stand-in.ts";
import card from "./index.ts";

const empty = { status: 200, body: "", type: undefined };

describePlugin(card, {
  deps: new Map<string, unknown>([
    [HttpListener.id, new OneMount()],
    [Sessions.id, new FakeSessions()],
    [Onboarding.id, new FakeOnboarding()],
    [OtaPackages.id, new FakePackages()],
  ]),
});

describeTransport("http", {
  create: async (sessions) => {
    const server = await running(sessions);
    return {
      connect: async (token) => ({
        sendTelemetry: async (document) => {
          const { status } = await server.post(`/${token}/telemetry`, document);
          return status === 200 ? "accepted" : "refused";
        },
        [Symbol.asyncDispose]: async () => {},
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});

/** What a device asked for, and the answers that a test decides. */
class Answering extends FakeSessions {
  readonly wanted: AttributesWanted[] = [];
  readonly calls: ClientRpcRequest[] = [];
  readonly replies: number[] = [];
  attributes: AttributesReply = {};
  answer: () => ClientRpc = () => ({ accepted: Promise.resolve(), reply: Promise.resolve('{"time":1}') });
  fails: Fault | undefined;

  override async authenticate(by: Parameters<FakeSessions["authenticate"]>[0]): Promise<DeviceIdentity | undefined> {
    const device = await super.authenticate(by);
    return device === undefined ? undefined : { ...device, transportType: "COAP" };
  }

  override visit(who: DeviceIdentity): Uplinks {
    const uplinks = super.visit(who);
    const telemetry = uplinks.telemetry.bind(uplinks);
    const rpcReply = uplinks.rpcReply.bind(uplinks);
    return Object.assign(uplinks, {
      telemetry: (payload: Uint8Array) => (this.fails === undefined ? telemetry(payload) : Promise.reject(this.fails)),
      readAttributes: async (want: AttributesWanted) => {
        this.wanted.push(want);
        return this.attributes;
      },
      rpc: (request: ClientRpcRequest) => {
        this.calls.push(request);
        return this.answer();
      },
      rpcReply: (id: number, payload: Uint8Array) => {
        this.replies.push(id);
        return rpcReply(id, payload);
      },
    });
  }
}

describe("device-api 9.8, posts and reads", () => {
  let platform: Answering;
  let server: Running;
  beforeEach(async () => {
    platform = new Answering("T");
    server = await running(platform);
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it("HTTP-01 hands telemetry over as it came and answers 200 without a body", async () => {
    const documents = ['{"a":1}', '[{"a":1},{"b":2}]', '{ts:1700000000000,"values":{"a":1}}'];
    for (const document of documents) expect(await server.post("/T/telemetry", document)).toMatchObject(empty);
    expect(platform.taken.map(({ text }) => text)).toEqual(documents);
  });

  it("HTTP-02 answers 401 without a body to an unknown token", async () => {
    expect(await server.post("/NOPE/telemetry", '{"a":1}')).toMatchObject({ ...empty, status: 401 });
    expect(await server.get("/NOPE/attributes")).toMatchObject({ ...empty, status: 401 });
    expect(await server.get("/NOPE/rpc?timeout=5000")).toMatchObject({ ...empty, status: 401 });
  });

  it("HTTP-03 answers 500 with the reason as text to what is no document", async () => {
    const type = "text/plain;charset=UTF-8";
    expect(await server.post("/T/telemetry", "{")).toMatchObject({ status: 500, body: "not a document", type });
  });

  it("HTTP-04 takes an empty object", async () => {
    expect(await server.post("/T/telemetry", "{}")).toMatchObject(empty);
  });

  it("HTTP-05 takes an empty list", async () => {
    expect(await server.post("/T/telemetry", "[]")).toMatchObject(empty);
  });

  it("HTTP-06 answers 400 to a post without a body, before it looks at the token", async () => {
    for (const token of ["T", "NOPE"]) {
      const { status, body } = await server.post(`/${token}/telemetry`);
      expect(status).toBe(400);
      expect(JSON.parse(body)).toEqual({
        status: 400,
        message: expect.stringMatching(/^Required request body is missing/),
        errorCode: 31,
        timestamp: expect.any(Number),
      });
    }
  });

  it("HTTP-07 does not look at the content type", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json", "odd"])
      expect(await server.post("/T/telemetry", '{"a":1}', { "content-type": type })).toMatchObject(empty);
    expect(await server.post("/T/telemetry", '{"a":1}')).toMatchObject(empty);
  });

  it("HTTP-08 hands attributes over; a document of the wrong shape is 500", async () => {
    expect(await server.post("/T/attributes", '{"serial":"A1"}')).toMatchObject(empty);
    expect(platform.taken).toEqual([{ kind: "attributes", text: '{"serial":"A1"}' }]);
    expect((await server.post("/T/attributes", "no")).status).toBe(500);
  });

  it("HTTP-09 reads the attributes of both lists", async () => {
    platform.attributes = { client: '{"serial":"A1"}', shared: '{"interval":30}' };
    const { status, body, type } = await server.get("/T/attributes?clientKeys=serial,x&sharedKeys=interval%2Cmode");
    expect({ status, body, type }).toEqual({
      status: 200,
      body: '{"client":{"serial":"A1"},"shared":{"interval":30}}',
      type: "application/json",
    });
    expect(platform.wanted).toEqual([{ client: ["serial", "x"], shared: ["interval", "mode"] }]);
    await server.get("/T/attributes?sharedKeys=a");
    expect(platform.wanted[1]).toEqual({ client: "none", shared: ["a"] });
  });

  it("HTTP-10 answers {} when nothing was found", async () => {
    expect((await server.get("/T/attributes?clientKeys=none")).body).toBe("{}");
  });

  it("HTTP-11 reads everything without parameters", async () => {
    await server.get("/T/attributes");
    expect(platform.wanted).toEqual([{ client: "all", shared: "all" }]);
  });

  it("HTTP-18 answers 400 to an answer whose id is no integer", async () => {
    for (const id of ["abc", "1.5", "12345678901", "%00"])
      expect((await server.post(`/T/rpc/${id}`, "{}")).status).toBe(400);
    expect(await server.post("/T/rpc/-7", "plain text")).toMatchObject(empty);
    expect(platform.replies).toEqual([-7]);
  });

  it("HTTP-19 answers a call of the device with the reply", async () => {
    const { status, body } = await server.post("/T/rpc", '{"method":"getTime","params":{}}');
    expect({ status, body }).toEqual({ status: 200, body: '{"time":1}' });
    expect(platform.calls[0]).toMatchObject({ paramsRequired: true });
  });

  it("HTTP-19 answers a call that nobody replied to with the time-out as a document", async () => {
    const late = new Fault("unavailable", "rpc.timeout", "no reply");
    platform.answer = () => ({ accepted: Promise.resolve(), reply: Promise.reject(late) });
    const { status, body } = await server.post("/T/rpc", '{"method":"m","params":{}}');
    expect({ status, body }).toEqual({ status: 200, body: '{"error":"timeout"}' });
  });

  it("HTTP-20 answers 500 without a body to a bad call", async () => {
    const bad = () => Promise.reject(new Fault("invalid", "device.payload", "params are missing"));
    platform.answer = () => ({ accepted: bad(), reply: bad() });
    expect(await server.post("/T/rpc", '{"method":"m"}')).toMatchObject({ ...empty, status: 500 });
  });

  it("HTTP-29 refuses a body over 64 KiB to a call with 413, before the token, announced or not", async () => {
    const over = "x".repeat(65_537);
    const body = '"Payload size exceeds the limit of 65536 bytes"';
    const wanted = { status: 413, body, type: "application/json" };
    expect(await server.post("/NOPE/rpc", over)).toMatchObject(wanted);
    expect(await server.post("/T/rpc", over, { "transfer-encoding": "chunked" })).toMatchObject(wanted);
    expect((await server.post("/T/rpc/1", "x".repeat(65_536))).status).toBe(200);
  });

  it("HTTP-30 serves a device whose profile is of another transport", async () => {
    expect((await platform.authenticate({ kind: "token", token: "T" }))?.transportType).toBe("COAP");
    expect(await server.post("/T/telemetry", '{"a":1}')).toMatchObject(empty);
  });

  it("HTTP-32 opens no session for a post", async () => {
    await server.post("/T/telemetry", '{"a":1}');
    expect(platform.sessions).toEqual([]);
  });

  it("answers 404 to an unknown path and 405 to a wrong method, as documents", async () => {
    const of = ({ status, body }: { status: number; body: string }) => [status, JSON.parse(body).errorCode];
    for (const path of ["/T/nothing", "/T", "/T/rpc/1/2", "/T/constructor", ""])
      expect(of(await server.post(path, "{}"))).toMatchObject([404, 32]);
    expect(of(await server.get("/T/telemetry"))).toMatchObject([405, 31]);
    expect(of(await server.post("/T/attributes/updates", "{}"))).toMatchObject([405, 31]);
  });

  it("decodes the token, and takes one that is no encoding as it stands", async () => {
    platform.tokens.add("a b").add("100%");
    expect(await server.post("/a%20b/telemetry", "{}")).toMatchObject(empty);
    expect(await server.post("/100%/telemetry", "{}")).toMatchObject(empty);
  });

  it("answers 500 over a rate limit, 503 when the platform is unavailable, never with a reason", async () => {
    platform.fails = new Fault("exhausted", "device.rate-limit", "too many");
    expect(await server.post("/T/telemetry", "{}")).toMatchObject({ ...empty, status: 500 });
    platform.fails = new Fault("unavailable", "lane.unavailable", "secret place is down");
    expect(await server.post("/T/telemetry", "{}")).toMatchObject({ ...empty, status: 503 });
    platform.fails = new Fault("internal", "internal", "secret");
    expect(await server.post("/T/telemetry", "{}")).toMatchObject({ ...empty, status: 500 });
    expect(server.statuses).toEqual([500, 503, 500]);
  });
});
