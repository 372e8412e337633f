import Long from "long";
import protobuf from "protobufjs";

// What the library finds by itself depends on how it is loaded; without it 64-bit integers lose digits.
protobuf.util.Long = Long;
protobuf.configure();

/** The messages that hold wherever a profile has no schema of its own (device-api 2.13). */
const source = `
syntax = "proto3";
enum KeyValueType { BOOLEAN_V = 0; LONG_V = 1; DOUBLE_V = 2; STRING_V = 3; JSON_V = 4; }
message KeyValue {
  string key = 1; KeyValueType type = 2; bool bool_v = 3; int64 long_v = 4; double double_v = 5; string string_v = 6; string json_v = 7;
}
message TsKv { int64 ts = 1; KeyValue kv = 2; }
message TsKvList { int64 ts = 1; repeated KeyValue kv = 2; }
message PostTelemetry { repeated TsKvList tsKvList = 1; }
message PostAttribute { repeated KeyValue kv = 1; bool shared = 2; }
message AttributesRequest { optional string clientKeys = 1; optional string sharedKeys = 2; }
message GetAttributeResponse {
  int32 requestId = 1; repeated TsKv clientAttributeList = 2; repeated TsKv sharedAttributeList = 3;
  bool isMultipleAttributesRequest = 4; string error = 5; bool sharedStateMsg = 6;
}
message AttributeUpdateNotification { repeated TsKv sharedUpdated = 1; repeated string sharedDeleted = 2; }
message RpcRequest { optional string method = 1; string params = 2; }
message RpcResponse { string payload = 1; }
message ToServerRpcResponse { int32 requestId = 1; string payload = 2; string error = 3; }
message ToDeviceRpcRequest {
  int32 requestId = 1; string methodName = 2; string params = 3; int64 expirationTime = 4; int64 requestIdMSB = 5;
  int64 requestIdLSB = 6; bool oneway = 7; bool persisted = 8;
}
message ClaimDevice { string secretKey = 1; int64 durationMs = 2; }
enum CredentialsType { ACCESS_TOKEN = 0; X509_CERTIFICATE = 1; MQTT_BASIC = 2; LWM2M_CREDENTIALS = 3; }
enum ProvisionResponseStatus { UNKNOWN = 0; SUCCESS = 1; NOT_FOUND = 2; FAILURE = 3; }
message ProvisionCredentials { string provisionDeviceKey = 1; string provisionDeviceSecret = 2; }
message TokenRequest { string token = 1; }
message CertificateRequest { string hash = 1; }
message BasicRequest { optional string clientId = 1; optional string userName = 2; optional string password = 3; }
message CredentialsData {
  TokenRequest validateDeviceTokenRequestMsg = 1; CertificateRequest validateDeviceX509CertRequestMsg = 2;
  BasicRequest validateBasicMqttCredRequestMsg = 3;
}
message ProvisionDeviceRequest {
  string deviceName = 1; CredentialsType credentialsType = 2; ProvisionCredentials provisionDeviceCredentialsMsg = 3;
  CredentialsData credentialsDataProto = 4; bool gateway = 5;
}
message ProvisionDeviceResponse {
  ProvisionResponseStatus status = 1; CredentialsType credentialsType = 2; string credentialsValue = 3;
}
message GatewayConnect { string deviceName = 1; string deviceType = 2; }
message GatewayDisconnect { string deviceName = 1; }
message GatewayTelemetryItem { string deviceName = 1; PostTelemetry msg = 3; }
message GatewayTelemetry { repeated GatewayTelemetryItem msg = 1; }
message GatewayAttributesItem { string deviceName = 1; PostAttribute msg = 2; }
message GatewayAttributes { repeated GatewayAttributesItem msg = 1; }
message GatewayClaimItem { string deviceName = 1; ClaimDevice claimRequest = 2; }
message GatewayClaim { repeated GatewayClaimItem msg = 1; }
message GatewayAttributesRequest { int32 id = 1; string deviceName = 2; bool client = 3; repeated string keys = 4; }
message GatewayRpcResponse { string deviceName = 1; int32 id = 2; string data = 3; }
message GatewayAttributeResponse { string deviceName = 1; GetAttributeResponse responseMsg = 2; }
message GatewayAttributeUpdate { string deviceName = 1; AttributeUpdateNotification notificationMsg = 2; }
message GatewayRpcRequest { string deviceName = 1; ToDeviceRpcRequest rpcRequestMsg = 2; }
message GatewayDisconnectDevice { string deviceName = 1; int32 reason = 2; }
`;

const { root } = protobuf.parse(source, { keepCase: true });

/** By name; compiled when it is used first. */
export const fixed = (name: string): protobuf.Type => root.lookupType(name);
