import type { ProvisionReply } from "@heddle/plugin-sdk";
import { fixed } from "./protobuf/messages.ts";
import { decode, encode } from "./protobuf/wire.ts";

/** A provisioning request in Protobuf as the JSON that `Onboarding` reads (device-api 2.13, 6.1). */
export function provisionRequestText(payload: Uint8Array): Uint8Array {
  const type = fixed("ProvisionDeviceRequest");
  const { deviceName, credentialsType, provisionDeviceCredentialsMsg, credentialsDataProto, gateway } = decode(
    type,
    payload,
  );
  const name = type.root.lookupEnum("CredentialsType").valuesById[credentialsType as number];
  const { validateDeviceTokenRequestMsg, validateDeviceX509CertRequestMsg, validateBasicMqttCredRequestMsg } =
    credentialsDataProto ?? {};
  const { clientId, userName, password } = validateBasicMqttCredRequestMsg ?? {};
  const given = (text: unknown) => (text === undefined || text === null || text === "" ? {} : { text });
  const members = {
    deviceName: given(deviceName),
    credentialsType: given(name),
    provisionDeviceKey: { text: provisionDeviceCredentialsMsg?.provisionDeviceKey ?? "" },
    provisionDeviceSecret: { text: provisionDeviceCredentialsMsg?.provisionDeviceSecret ?? "" },
    token: given(validateDeviceTokenRequestMsg?.token),
    hash: given(validateDeviceX509CertRequestMsg?.hash),
    clientId: given(clientId),
    username: given(userName),
    password: given(password),
    gateway: gateway === true ? { text: true } : {},
  };
  const texts = Object.entries(members).flatMap(([key, value]) =>
    "text" in value ? [[key, value.text] as const] : [],
  );
  return Buffer.from(JSON.stringify(Object.fromEntries(texts)));
}

/** The reply in the same encoding. */
export function provisionReplyBytes(reply: ProvisionReply): Buffer {
  if (reply.status !== "SUCCESS") return encode(fixed("ProvisionDeviceResponse"), { status: reply.status });
  const { status, credentialsType, credentialsValue } = reply;
  const value = typeof credentialsValue === "object" ? JSON.stringify(credentialsValue) : (credentialsValue ?? "");
  return encode(fixed("ProvisionDeviceResponse"), { status, credentialsType, credentialsValue: value });
}
