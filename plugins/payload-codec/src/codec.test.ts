import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { codecsOf, fixedCodec, fixedGatewayCodec, jsonCodec, jsonGatewayCodec, schemasOf } from "./index.ts";
import { fixed } from "./protobuf/messages.ts";
import { decode, encode, floatText } from "./protobuf/wire.ts";
import { provisionReplyBytes, provisionRequestText } from "./provisioning.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const bytes = (json: string) => Buffer.from(json);
const settings = (more: object = {}) => ({
  transportPayloadType: "PROTOBUF",
  deviceTelemetryProtoSchema: `syntax = "proto3"; package p;
    message Gps { double lat = 1; }
    message Post { int32 temp = 1; optional double hum = 2; string mode = 3; Gps gps = 4; repeated int64 many = 5; float f = 6; bool on = 7; }`,
  deviceAttributesProtoSchema: 'syntax = "proto3"; message A { string serial = 1; }',
  ...more,
});
const device = (more: object = {}) =>
  fakeIdentity("M", {
    transportType: "MQTT",
    transport: { type: "MQTT", transportPayloadTypeConfiguration: settings(more) },
  });
const write = (source: string, name: string, message: object) => {
  const { root } = protobuf.parse(source, { keepCase: true });
  return encode(root.lookupType(name), message);
};

describe("payloads by a profile's schemas", () => {
  const { profile } = codecsOf(device());
  const post = (message: object) =>
    text(profile.telemetry(write(settings().deviceTelemetryProtoSchema, "p.Post", message)));

  it("PB-01 plain fields have their defaults, optional ones and sub-messages only when sent", () => {
    expect(post({})).toBe('{"temp":0,"mode":"","many":[],"f":0.0,"on":false}');
    expect(post({ temp: 5, hum: 0, gps: {}, f: 3.3, many: ["9007199254740993"] })).toBe(
      '{"temp":5,"hum":0.0,"mode":"","gps":{"lat":0.0},"many":[9007199254740993],"f":3.3,"on":false}',
    );
  });

  it("PB-02 JSON is refused unless the profile says that it may come, PB-03", () => {
    expect(() => profile.telemetry(bytes('{"temp":1}'))).toThrowError(
      expect.objectContaining({ code: "device.payload" }),
    );
    const lenient = codecsOf(device({ enableCompatibilityWithJsonPayloadFormat: true })).profile;
    expect(text(lenient.telemetry(bytes("{temp:1}")))).toBe("{temp:1}");
  });

  it("PB-03 whatever comes up may be JSON then, over MQTT", () => {
    const compatible = { enableCompatibilityWithJsonPayloadFormat: true };
    const lenient = codecsOf(device(compatible)).profile;
    const asJson = ["telemetry", "attributes", "clientRpc", "rpcReply", "claim"] as const;
    for (const what of asJson) expect(text(lenient[what](bytes('{"method":"m"}'))), what).toBe('{"method":"m"}');
    expect(lenient.attributesRequest(bytes('{"sharedKeys":"a,b"}'))).toEqual({ client: "none", shared: ["a", "b"] });
    const { rpcResponse } = schemasOf(settings());
    expect(text(lenient.rpcReply(encode(rpcResponse, { payload: "both" })))).toBe("both");
    const strict = codecsOf({ ...device(compatible), transportType: "COAP" }).profile;
    for (const what of asJson)
      expect(() => strict[what](bytes('{"method":"m"}')), what).toThrowError(
        expect.objectContaining({ code: "device.payload" }),
      );
  });

  it("PB-05 a call goes down as the schema's message, and its answer comes as text", () => {
    const request = { requestId: 3, method: "setRelay", params: '{"on":true}', oneway: false };
    const down = profile.rpcRequest(request);
    const schemas = schemasOf(settings());
    expect(decode(schemas.rpcRequest, down)).toMatchObject({ method: "setRelay", requestId: 3, params: '{"on":true}' });
    expect(text(profile.rpcReply(encode(schemas.rpcResponse, { payload: '{"ok":1}' })))).toBe('{"ok":1}');
    const own = {
      deviceRpcRequestProtoSchema:
        'syntax = "proto3"; message P { bool on = 1; } message R { optional string method = 1; optional int32 requestId = 2; optional P params = 3; }',
      deviceRpcResponseProtoSchema: 'syntax = "proto3"; message S { bool done = 1; }',
    };
    const codec = codecsOf(device(own)).profile;
    const types = schemasOf(settings(own));
    expect(decode(types.rpcRequest, codec.rpcRequest(request))["params"]).toMatchObject({ on: true });
    expect(text(codec.rpcReply(encode(types.rpcResponse, { done: true })))).toBe('{"done":true}');
  });

  it("PB-07 of several messages the last is the payload", () => {
    expect(schemasOf(settings()).telemetry.name).toBe("Post");
  });

  it("goes down as JSON on the long topics where the profile says so", () => {
    const both = { enableCompatibilityWithJsonPayloadFormat: true, useJsonPayloadFormatForDefaultDownlinkTopics: true };
    expect(codecsOf(device(both)).longTopicsDown.encoding).toBe("json");
    expect(codecsOf(device({ useJsonPayloadFormatForDefaultDownlinkTopics: true })).longTopicsDown.encoding).toBe(
      "protobuf",
    );
  });

  it("is compiled once for a profile", () => {
    const one = device();
    expect(codecsOf(one)).toBe(codecsOf({ ...one, deviceName: "other" }));
    expect(codecsOf(fakeIdentity("T")).profile).toBe(jsonCodec);
  });

  it("a payload that would become a thousand times its size is refused", () => {
    const fields = Array.from({ length: 500 }, (_, i) => `double a_field_with_a_long_name_${i} = ${i + 1};`).join("");
    const source = `syntax = "proto3"; message Inner { ${fields} } message Post { repeated Inner many = 1; }`;
    const { profile: growing } = codecsOf(device({ deviceTelemetryProtoSchema: source }));
    const empty = Buffer.from([0x0a, 0x00]);
    expect(text(growing.telemetry(empty)).length).toBeGreaterThan(10_000);
    expect(() => growing.telemetry(Buffer.alloc(60_000, empty))).toThrowError(
      expect.objectContaining({ code: "device.payload", message: expect.stringContaining("4194304 characters") }),
    );
  });

  it("a call whose params do not fit the schema is refused without its values; texts that are no UTF-8 too", () => {
    const own = {
      deviceRpcRequestProtoSchema:
        'syntax = "proto3"; message P { int64 n = 1; string constructor = 2; } message R { optional string method = 1; optional int32 requestId = 2; P params = 3; }',
    };
    const codec = codecsOf(device(own)).profile;
    const type = schemasOf(settings(own)).rpcRequest;
    const down = (params: string) => codec.rpcRequest({ requestId: 1, method: "m", params, oneway: false });
    const read = (params: string) => type.toObject(decode(type, down(params)) as never, { longs: String })["params"];
    expect(read('{"n":9007199254740993,"other":1}')).toEqual({ n: "9007199254740993" });
    expect(read("null")).toBeUndefined();
    expect(() => down('{"n":"secret"}')).toThrowError(
      expect.objectContaining({ code: "device.payload", message: expect.not.stringContaining("secret") }),
    );
    expect(() => down('{"constructor":"\\ud800"}')).toThrowError(expect.objectContaining({ code: "device.payload" }));
    expect(() => down("5")).toThrowError(expect.objectContaining({ code: "device.payload" }));
  });

  it("params that are a text are the text of the default message, and others their JSON", () => {
    const { rpcRequest } = schemasOf(settings());
    const params = (json: string) =>
      decode(rpcRequest, profile.rpcRequest({ requestId: 1, method: "m", params: json, oneway: false }))["params"];
    expect([params('"on"'), params('{"on":true}'), params("5")]).toEqual(["on", '{"on":true}', "5"]);
  });

  it.each([
    ["", "telemetry proto schema is empty"],
    ["message {", "failed to parse telemetry proto schema"],
    ['syntax = "proto2"; message A { required int32 a = 1; }', "not proto3"],
    ['syntax = "proto3"; import "x.proto"; message A { }', "imports"],
    ['syntax = "proto3"; message A { } service S { rpc a (A) returns (A); }', "services"],
    ['syntax = "proto3"; enum E { A = 0; }', "At least one Message"],
    ['syntax = "proto3"; message A { int64 ts = 1; }', "'ts' should be optional int64"],
    ['syntax = "proto3"; message A { string __proto__ = 1; }', "__proto__"],
    [`syntax = "proto3"; ${"message A {".repeat(5_000)}`, "failed to parse"],
    [`syntax = "proto3"; message A { } // ${"x".repeat(70_000)}`, "the limit is 65536"],
    ['syntax = "proto3"; message A { Nobody n = 1; }', "failed to parse"],
  ])("refuses the schema %#", (source, why) => {
    expect(() => schemasOf(settings({ deviceTelemetryProtoSchema: source }))).toThrowError(
      expect.objectContaining({ code: "input.invalid", message: expect.stringContaining(why) }),
    );
  });
});

describe("the fixed messages", () => {
  const kv = [
    { key: "b", type: 0, bool_v: true },
    { key: "l", type: 1, long_v: "9223372036854775807" },
    { key: "d", type: 2, double_v: 25 },
    { key: "s", type: 3, string_v: "x" },
    { key: "j", type: 4, json_v: '{"a": [1]}' },
  ];

  it("telemetry and attributes become documents with their types", () => {
    const values = '{"b":true,"l":9223372036854775807,"d":25.0,"s":"x","j":{"a":[1]}}';
    const post = encode(fixed("PostTelemetry"), { tsKvList: [{ ts: "1700000000000", kv }, { kv }] });
    expect(text(fixedCodec.telemetry(post))).toBe(`[{"ts":1700000000000,"values":${values}},${values}]`);
    expect(text(fixedCodec.attributes(encode(fixed("PostAttribute"), { kv })))).toBe(values);
  });

  it("a client's call is a document: params that are none are refused", () => {
    const call = (params: string) => fixedCodec.clientRpc(encode(fixed("RpcRequest"), { method: "m", params }));
    expect(text(call("{a:1}"))).toBe('{"method":"m","params":{"a":1}}');
    expect(text(call(""))).toBe('{"method":"m","params":null}');
    expect(() => call('1,"method":"other"')).toThrowError(expect.objectContaining({ code: "device.payload" }));
  });

  it("half a surrogate pair goes down as what the UTF-8 of JSON makes of it", () => {
    const { sharedUpdated } = decode(
      fixed("AttributeUpdateNotification"),
      fixedCodec.attributesUpdate('{"a":"\\ud800"}'),
    );
    expect(sharedUpdated[0].kv.string_v).toBe("\ufffd");
  });

  it("PB-06 attributes are asked for and answered", () => {
    const ask = (message: object) => fixedCodec.attributesRequest(encode(fixed("AttributesRequest"), message));
    expect(ask({})).toEqual({ client: "all", shared: "all" });
    expect(ask({ clientKeys: "a,b" })).toEqual({ client: ["a", "b"], shared: "none" });
    const reply = fixedCodec.attributesReply(7, { client: '{"a":1,"b":2.5}', shared: '{"c":"x"}' });
    const { requestId, clientAttributeList, sharedAttributeList } = decode(fixed("GetAttributeResponse"), reply);
    expect(requestId).toBe(7);
    expect(clientAttributeList.map(({ kv: { key, type } }: any) => [key, type])).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(sharedAttributeList[0].kv).toMatchObject({ key: "c", string_v: "x" });
  });

  it("updates and removals, calls and answers", () => {
    const update = (json: string) => decode(fixed("AttributeUpdateNotification"), fixedCodec.attributesUpdate(json));
    expect(update('{"deleted":["a","b"]}')["sharedDeleted"]).toEqual(["a", "b"]);
    expect(update('{"k":25.0}')["sharedUpdated"][0].kv).toMatchObject({ key: "k", type: 2, double_v: 25 });
    const call = fixedCodec.clientRpc(encode(fixed("RpcRequest"), { method: "m", params: '{"a":1}' }));
    expect(text(call)).toBe('{"method":"m","params":{"a":1}}');
    expect(() => fixedCodec.clientRpc(Buffer.alloc(0))).toThrowError(
      expect.objectContaining({ code: "device.payload" }),
    );
  });

  it("what is no message is a fault that says so", () => {
    for (const junk of ["ff", "0a05ff", `${"0b".repeat(500)}`]) {
      expect(() => fixedCodec.telemetry(Buffer.from(junk, "hex"))).toThrowError(
        expect.objectContaining({ code: "device.payload", message: expect.stringContaining("PostTelemetry") }),
      );
    }
  });

  it("provisioning goes both ways", () => {
    const request = encode(fixed("ProvisionDeviceRequest"), {
      deviceName: "D",
      credentialsType: "MQTT_BASIC",
      provisionDeviceCredentialsMsg: { provisionDeviceKey: "k", provisionDeviceSecret: "s" },
      credentialsDataProto: { validateBasicMqttCredRequestMsg: { clientId: "c", userName: "u" } },
    });
    expect(JSON.parse(text(provisionRequestText(request)))).toEqual({
      deviceName: "D",
      credentialsType: "MQTT_BASIC",
      provisionDeviceKey: "k",
      provisionDeviceSecret: "s",
      clientId: "c",
      username: "u",
    });
    expect(provisionReplyBytes({ status: "NOT_FOUND", errorMsg: "x" }).toString("hex")).toBe("0802");
    const reply = provisionReplyBytes({ status: "SUCCESS", credentialsType: "ACCESS_TOKEN", credentialsValue: "t" });
    expect(decode(fixed("ProvisionDeviceResponse"), reply)).toMatchObject({ status: 1, credentialsValue: "t" });
  });

  it("floats have their shortest spelling", () => {
    expect([3.3, 0.1, 16777216, 1e20].map((x) => floatText(Math.fround(x)))).toEqual([
      "3.3",
      "0.1",
      "16777216.0",
      "100000000000000000000.0",
    ]);
  });
});

describe("gateway messages", () => {
  it("GW-04, GW-18, GW-22: parts by device, without what is for the platform only", () => {
    const document =
      '{"A":[{"ts":1,"values":{"a":25.0},"metadata":{"connector":"M","receivedTs":1,"publishedTs":3}},{b:1}],"B":5}';
    const parts = jsonGatewayCodec.telemetry(bytes(document));
    expect(parts.map(({ name, document }) => [name, text(document)])).toEqual([
      ["A", '[{"ts":1,"values":{"a":25.0}},{"b":1}]'],
    ]);
    expect(parts[0]?.latencies).toEqual([{ connector: "M", receivedTs: 1, publishedTs: 3 }]);
  });

  it("GW-17, GW-19, GW-23: what cannot be read, what has the wrong shape, and a part that is wrong", () => {
    const code = (payload: string) => {
      try {
        return jsonGatewayCodec.telemetry(bytes(payload)).map(({ fault }) => fault?.code);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code("{A")).toBe("device.payload");
    expect(["", "[]", "5", '{"A":1}', '{"":[]}'].map(code)).toEqual(Array(5).fill("gateway.shape"));
    expect(code("{}")).toEqual([]);
    expect(code('{"A":[{"ts":1,"values":{},"metadata":{"connector":"M"}}],"B":[{"b":1}]}')).toEqual([
      "device.payload",
      undefined,
    ]);
    expect(code('{"A":[5]}')).toEqual(["device.payload"]);
  });

  it("GW-06, GW-07, GW-08, GW-30: the answer to a request for attributes has the recorded forms", () => {
    const ask = (more: string) =>
      jsonGatewayCodec.attributesRequest(bytes(`{"id":1,"device":"n","client":false,${more}}`));
    const answer = (more: string, reply: object) => text(jsonGatewayCodec.attributesReply(ask(more), reply));
    expect(answer('"key":"a"', { shared: '{"a":30}' })).toBe('{"id":1,"device":"n","value":30}');
    expect(answer('"keys":["a","b"]', { shared: '{"a":1,"b":2}' })).toBe(
      '{"id":1,"device":"n","values":{"a":1,"b":2}}',
    );
    expect(answer('"keys":["a","b"]', { shared: '{"a":1}' })).toBe('{"id":1,"device":"n","values":{"a":1}}');
    expect(answer('"key":"a"', {})).toBe('{"id":1,"device":"n"}');
    expect(answer('"keys":[]', { client: '{"c0":0}', shared: '{"s0":0,"s1":1}' })).toBe(
      '{"id":1,"device":"n","value":0,"values":{"s0":0,"s1":1}}',
    );
    for (const bad of [
      '{"device":"n","client":true,"key":"a"}',
      '{"id":1,"client":true,"key":"a"}',
      '{"id":1,"device":"n","key":"a"}',
      '{"id":1,"device":"n","client":true}',
    ]) {
      expect(() => jsonGatewayCodec.attributesRequest(bytes(bad))).toThrowError(
        expect.objectContaining({ code: "gateway.shape" }),
      );
    }
  });

  it("names may be numbers, and must not be empty", () => {
    expect(jsonGatewayCodec.connect(bytes('{"device":5,"type":"m"}'))).toEqual({ name: "5", type: "m" });
    expect(() => jsonGatewayCodec.connect(bytes('{"device":""}'))).toThrowError(
      expect.objectContaining({ code: "gateway.shape" }),
    );
    expect(jsonGatewayCodec.rpcReply(bytes('{"device":"A","id":0,"data":"x"}'))).toEqual({
      name: "A",
      id: 0,
      reply: bytes('"x"'),
    });
  });

  it("the same in Protobuf", () => {
    const telemetry = encode(fixed("GatewayTelemetry"), {
      msg: [{ deviceName: "A", msg: { tsKvList: [{ ts: 5, kv: [{ key: "a", type: 1, long_v: 1 }] }] } }],
    });
    expect(fixedGatewayCodec.telemetry(telemetry).map(({ name, document }) => [name, text(document)])).toEqual([
      ["A", '[{"ts":5,"values":{"a":1}}]'],
    ]);
    const request = fixedGatewayCodec.rpcRequest("A", { requestId: 0, method: "m", params: "{}", oneway: true });
    expect(decode(fixed("GatewayRpcRequest"), request)["rpcRequestMsg"]).toMatchObject({
      methodName: "m",
      params: "{}",
      oneway: true,
    });
    expect(decode(fixed("GatewayDisconnectDevice"), fixedGatewayCodec.disconnected("A", 150))).toMatchObject({
      reason: 150,
    });
    expect(() => fixedGatewayCodec.connect(Buffer.alloc(0))).toThrowError(
      expect.objectContaining({ code: "gateway.shape" }),
    );
  });
});
