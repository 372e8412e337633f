import { type Fault, invalid, isFault, readTypedJson } from "@heddle/plugin-sdk";
import type protobuf from "protobufjs";
import protojson from "protobufjs/ext/protojson.js";
import type { PayloadCodec } from "../codec.ts";
import { malformed } from "../document.ts";
import { jsonCodec } from "../json-codec.ts";
import { fixedCodec } from "./fixed-codec.ts";
import { printMessage } from "./print.ts";
import { checkRpcRequestType, checkTelemetryType, payloadType } from "./schema.ts";
import { decode, type Message } from "./wire.ts";

/** `transportPayloadTypeConfiguration` of a profile whose payloads are Protobuf (device-api 2.12). */
export type PayloadSettings = Readonly<Record<string, unknown>>;

const defaultRpcRequest =
  'syntax = "proto3"; message RpcRequestMsg { optional string method = 1; optional int32 requestId = 2; optional string params = 3; }';
const defaultRpcResponse = 'syntax = "proto3"; message RpcResponseMsg { optional string payload = 1; }';

interface Schemas {
  readonly telemetry: protobuf.Type;
  readonly attributes: protobuf.Type;
  readonly rpcRequest: protobuf.Type;
  readonly rpcResponse: protobuf.Type;
}

/** The compiled schemas of a profile; fault `input.invalid` with what is wrong with which. */
export function schemasOf(settings: PayloadSettings): Schemas {
  const source = (name: string, label: string, byDefault?: string) => {
    const given = settings[name];
    const text = typeof given === "string" && given.trim() !== "" ? given : byDefault;
    if (text === undefined) throw invalid(`[Transport Configuration] ${label} is empty!`);
    return payloadType(text, label);
  };
  const schemas = {
    attributes: source("deviceAttributesProtoSchema", "attributes proto schema"),
    telemetry: source("deviceTelemetryProtoSchema", "telemetry proto schema"),
    rpcRequest: source("deviceRpcRequestProtoSchema", "rpc request proto schema", defaultRpcRequest),
    rpcResponse: source("deviceRpcResponseProtoSchema", "rpc response proto schema", defaultRpcResponse),
  };
  checkTelemetryType(schemas.telemetry, "telemetry proto schema");
  checkRpcRequestType(schemas.rpcRequest, "rpc request proto schema");
  return schemas;
}

/** Payloads by the schemas of a profile; what they do not cover is as in the fixed messages. */
export function profileCodec(settings: PayloadSettings): PayloadCodec {
  const schemas = schemasOf(settings);
  const printed = (type: protobuf.Type) => (payload: Uint8Array) =>
    Buffer.from(printMessage(type, decode(type, payload)));
  return {
    ...fixedCodec,
    telemetry: printed(schemas.telemetry),
    attributes: printed(schemas.attributes),
    rpcReply: (payload) => replyText(schemas.rpcResponse, decode(schemas.rpcResponse, payload)),
    rpcRequest: ({ requestId, method, params }) => encodeRequest(schemas.rpcRequest, { requestId, method, params }),
  };
}

/** Whatever comes up is read as JSON when it is not what the codec reads; what goes down stays as it is (device-api 2.12). */
export function orElseJson(codec: PayloadCodec): PayloadCodec {
  const either =
    <T>(first: (payload: Uint8Array) => T, second: (payload: Uint8Array) => T) =>
    (payload: Uint8Array): T => {
      try {
        return first(payload);
      } catch (error) {
        if (!isPayloadFault(error)) throw error;
        return second(payload);
      }
    };
  return {
    ...codec,
    telemetry: either(codec.telemetry, jsonCodec.telemetry),
    attributes: either(codec.attributes, jsonCodec.attributes),
    attributesRequest: either(codec.attributesRequest, jsonCodec.attributesRequest),
    clientRpc: either(codec.clientRpc, jsonCodec.clientRpc),
    rpcReply: either(codec.rpcReply, jsonCodec.rpcReply),
    claim: either(codec.claim, jsonCodec.claim),
  };
}

const isPayloadFault = (error: unknown): error is Fault => isFault(error) && error.code === "device.payload";

/** The default message carries the text itself; any other is the answer. */
function replyText(type: protobuf.Type, message: Message): Buffer {
  const [only, ...others] = type.fieldsArray;
  if (only?.name === "payload" && only.type === "string" && others.length === 0) {
    return Buffer.from(String(message["payload"] ?? ""));
  }
  return Buffer.from(printMessage(type, message));
}

function encodeRequest(
  type: protobuf.Type,
  { requestId, method, params }: { requestId: number; method: string; params: string },
): Buffer {
  try {
    const message = protojson.fromJson(
      type,
      { method, requestId, params: paramsOf(type.fields["params"], params) },
      { ignoreUnknownFields: true },
    );
    return Buffer.from(type.encode(message).finish());
  } catch (cause) {
    // Which field and why; behind that the library repeats the value, which may be a secret.
    const [field = "", why = ""] = (cause as Error).message.split(": ");
    throw malformed(`params do not fit the schema of rpc requests: ${field} ${why}`);
  }
}

/** A text takes the JSON of what is none; null is nothing; integers beyond 2^53 keep their digits as text. */
function paramsOf(field: protobuf.Field | undefined, params: string): unknown {
  const value = readTypedJson(params, (number) => {
    const double = Number(number);
    return Number.isSafeInteger(double) || !/^-?\d+$/.test(number) ? double : number;
  });
  if (field?.type !== "string" || field.repeated || field.map || value === null) return value;
  return typeof value === "string" ? value : params;
}
