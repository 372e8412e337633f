import { codecsOf } from "@heddle/payload-codec";
import type { DeviceIdentity } from "@heddle/plugin-sdk";
import type { Request } from "./request.ts";

const json = 50;
const octets = 42;

/** JSON echoes the format of the request; Protobuf is always octets (device-api 4.2). */
export function formatOf(device: DeviceIdentity, { format = json }: Pick<Request, "format">): number {
  return codecsOf(device).profile.encoding === "protobuf" ? octets : format;
}
