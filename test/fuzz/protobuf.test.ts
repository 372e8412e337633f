import {
  codecsOf,
  fixedCodec,
  fixedGatewayCodec,
  type PayloadCodec,
  provisionRequestText,
  readDocument,
  readSparkplug,
} from "@heddle/payload-codec";
import { isFault, readTypedJson } from "@heddle/plugin-sdk";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import { expect, it } from "vitest";
import type { Dice } from "./dice.ts";
import { fuzz } from "./fuzzer.ts";
import { jsonText } from "./json-text.ts";
import { must, patience } from "./must.ts";
import { lastType, messageOf, schemaText, sparkplugSource } from "./proto-schemas.ts";

/** The two parts of an input: source text, and what is read by it. */
const divider = Buffer.from([0]);

function parted(input: Buffer): [source: string, payload: Buffer] {
  const at = input.indexOf(divider);
  return at < 0 ? [input.toString(), Buffer.alloc(0)] : [input.toString("utf8", 0, at), input.subarray(at + 1)];
}

/** The codec of a profile with this schema for everything that it may have one for; undefined when it is refused. */
function codecOf(source: string): PayloadCodec | undefined {
  const settings = {
    transportPayloadType: "PROTOBUF",
    deviceTelemetryProtoSchema: source,
    deviceAttributesProtoSchema: source,
    deviceRpcResponseProtoSchema: source,
  };
  const transport = { type: "MQTT", transportPayloadTypeConfiguration: settings };
  return outcome(() => codecsOf(fakeIdentity("M", { transportType: "MQTT", transport })).profile, "input.invalid");
}

/** What it returns; undefined when it refuses the input with one of these faults. Any other error is a defect. */
function outcome<T>(run: () => T, ...codes: readonly string[]): T | undefined {
  try {
    return run();
  } catch (error) {
    if (isFault(error) && error.kind === "invalid" && codes.includes(error.code)) return undefined;
    throw error;
  }
}

function mustBeJson(bytes: Uint8Array | undefined | "", what: string): void {
  if (bytes === undefined || bytes === "") return;
  const text = Buffer.from(bytes).toString();
  try {
    readTypedJson(text);
  } catch (error) {
    throw new Error(`${what} gives ${text.slice(0, 300)}: ${(error as Error).message}`);
  }
}

/** A schema with a message of it. */
function withMessage(dice: Dice): Buffer {
  const source = schemaText(dice);
  const payload = dice.chance(0.9) ? messageOf(lastType(source), dice) : dice.bytes(dice.length(100));
  return Buffer.concat([Buffer.from(source), divider, payload]);
}

it(
  "whatever comes under whatever schema becomes JSON or is refused, and integers keep their digits",
  patience,
  async () => {
    const tried = await fuzz({
      name: "protobuf-profile",
      make: withMessage,
      check(input) {
        const [source, payload] = parted(input);
        const codec = codecOf(source);
        if (codec === undefined) return;
        for (const read of ["telemetry", "attributes"] as const) {
          mustBeJson(
            outcome(() => codec[read](payload), "device.payload"),
            read,
          );
        }
        outcome(() => codec.rpcReply(payload), "device.payload");
        const text = outcome(() => codec.telemetry(payload), "device.payload");
        if (text === undefined) return;
        const type = lastType(source);
        const members = type.toObject(type.decode(payload), { longs: String, defaults: false }) as Record<
          string,
          unknown
        >;
        const printed = Buffer.from(text).toString();
        for (const { name, type: kind, repeated, map } of type.fieldsArray) {
          if (!kind.includes("64") || repeated || map || !Object.hasOwn(members, name)) continue;
          must(
            printed.includes(`${JSON.stringify(name)}:${members[name]}`),
            `${name} is ${members[name]} in ${printed}`,
          );
        }
      },
    });
    expect(tried).toBeGreaterThan(0);
  },
);

const fixedSource =
  'syntax = "proto3"; message KeyValue { string key = 1; int32 type = 2; bool b = 3; int64 l = 4; double d = 5; string s = 6; string j = 7; }';
const shapes = [
  `${fixedSource} message List { int64 ts = 1; repeated KeyValue kv = 2; } message Post { repeated List tsKvList = 1; }`,
  `${fixedSource} message Attributes { repeated KeyValue kv = 1; bool shared = 2; }`,
  `${fixedSource} message List { int64 ts = 1; repeated KeyValue kv = 2; } message Post { repeated List tsKvList = 1; }
   message Item { string deviceName = 1; Post msg = 3; } message Gateway { repeated Item msg = 1; }`,
  `${fixedSource} message Attributes { repeated KeyValue kv = 1; }
   message Item { string deviceName = 1; Attributes msg = 2; } message Gateway { repeated Item msg = 1; }`,
  'syntax = "proto3"; message Request { int32 id = 1; string deviceName = 2; bool client = 3; repeated string keys = 4; }',
  'syntax = "proto3"; message Texts { string a = 1; string b = 2; string c = 3; }',
  'syntax = "proto3"; message Claim { string secretKey = 1; int64 durationMs = 2; }',
  `syntax = "proto3"; message Key { string k = 1; string s = 2; } message T { string t = 1; } message B { string c = 1; string u = 2; }
   message Data { T t = 1; T x = 2; B b = 3; } message Provision { string n = 1; int32 c = 2; Key k = 3; Data d = 4; bool g = 5; }`,
  sparkplugSource,
].map(lastType);

it("whatever comes as one of the fixed messages is a document or refused", patience, async () => {
  const documents: Readonly<Record<string, (payload: Buffer) => Uint8Array>> = {
    telemetry: fixedCodec.telemetry,
    attributes: fixedCodec.attributes,
    claim: fixedCodec.claim,
    clientRpc: fixedCodec.clientRpc,
    provisioning: provisionRequestText,
  };
  const { telemetry, attributes, claims, attributesRequest, connect, disconnect, rpcReply } = fixedGatewayCodec;
  const tried = await fuzz({
    name: "protobuf-fixed",
    make: (dice) => (dice.chance(0.9) ? Buffer.from(messageOf(dice.pick(shapes), dice)) : dice.bytes(dice.length(200))),
    check(payload) {
      for (const [what, read] of Object.entries(documents)) {
        mustBeJson(
          outcome(() => read(payload), "device.payload"),
          what,
        );
      }
      for (const read of [fixedCodec.attributesRequest, attributesRequest, connect, disconnect, rpcReply]) {
        outcome(() => read(payload), "device.payload", "gateway.shape");
      }
      for (const read of [telemetry, attributes, claims]) {
        const parts = outcome(() => read(payload), "device.payload", "gateway.shape") ?? [];
        for (const part of parts) if (part.fault === undefined) mustBeJson(part.document, read.name);
      }
      const edge = outcome(() => readSparkplug(payload, () => undefined), "device.payload");
      for (const { name, json } of edge?.metrics ?? []) mustBeJson(json && Buffer.from(json), `the metric ${name}`);
    },
  });
  expect(tried).toBeGreaterThan(0);
});

const request = (params: string) => ({ requestId: 7, method: "m", params, oneway: false });

it("whatever a caller gives as params goes down by the schema or is refused", patience, async () => {
  const source = (type: string) =>
    `syntax = "proto3"; enum E { ZERO = 0; } message P { int64 a = 1; string constructor = 2; repeated P p = 3; map<string, E> m = 4; bytes x = 5; }
     message R { optional string method = 1; optional int32 requestId = 2; ${type} params = 3; }`;
  const codecs = ["P", "string", "repeated P", "map<string, int64>", "double", "bytes", "E"].map((type) => {
    const transportPayloadTypeConfiguration = {
      transportPayloadType: "PROTOBUF",
      deviceTelemetryProtoSchema: source("P"),
      deviceAttributesProtoSchema: source("P"),
      deviceRpcRequestProtoSchema: source(type),
    };
    const transport = { type: "MQTT", transportPayloadTypeConfiguration };
    const { profile } = codecsOf(fakeIdentity("M", { transportType: "MQTT", transport }));
    return { profile, type: lastType(source(type)) };
  });
  const names = ["a", "constructor", "p", "m", "x"];
  const tried = await fuzz({
    name: "protobuf-params",
    make: (dice) => {
      const members = dice.some(4, () => `"${dice.pick(names)}":${jsonText(dice, false, 2)}`);
      return Buffer.from(dice.chance(0.7) ? `{${members.join(",")}}` : jsonText(dice, false));
    },
    check(input) {
      const params = input.toString();
      if (outcome(() => readDocument(input), "device.payload") === undefined) return;
      try {
        JSON.parse(params);
      } catch {
        // What a caller gives has been read as strict JSON.
        return;
      }
      for (const { profile, type } of codecs) {
        const down = outcome(() => profile.rpcRequest(request(params)), "device.payload");
        if (down === undefined) continue;
        const read = type.toObject(type.decode(down));
        must(read["method"] === "m" && read["requestId"] === 7, `became ${JSON.stringify(read)}`);
      }
    },
  });
  expect(tried).toBeGreaterThan(0);
});
