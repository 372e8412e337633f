import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "mqtt.closed": { kind: "unavailable", help: "The connection ended before the device had the message." },
  "mqtt.unconfirmed": { kind: "unavailable", help: "The device did not acknowledge a message in time." },
  "mqtt.too-large": { kind: "invalid", help: "A message is larger than the device said it accepts." },
  "mqtt.window-full": {
    kind: "exhausted",
    help: "The device leaves too many messages unacknowledged; the next ones would wait for it.",
  },
  "mqtt.calls": { kind: "exhausted", help: "A device has too many calls that no rule chain has answered yet." },
  "mqtt.listen": { kind: "unavailable", help: "The address cannot be listened on: in use, or not allowed." },
  "mqtt.tls": { kind: "invalid", help: "The certificate or the key cannot be read, or do not belong together." },
  "mqtt.package": { kind: "invalid", help: "A piece of a package cannot be had; the device is told why on its topic." },
  "mqtt.uncaught": { kind: "invalid", help: "A request is so wrong that the connection ends." },
  "device.payload": { kind: "invalid", help: "What a device sent cannot be read." },
  "gateway.shape": { kind: "invalid", help: "A message of a gateway can be read and says not what it should." },
  "gateway.limited": { kind: "exhausted", help: "A gateway sends more for its devices than its tenant allows." },
  "gateway.full": { kind: "denied", help: "The tenant may have no more devices, or the gateway no more children." },
  "gateway.child": { kind: "internal", help: "A device behind a gateway cannot be made or connected." },
  "gateway.request": { kind: "internal", help: "Attributes of a device behind a gateway cannot be read." },
  "mqtt.payload": { kind: "invalid", help: "What a device asks for cannot be read." },
};
