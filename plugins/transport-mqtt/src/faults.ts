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
  "mqtt.payload": { kind: "invalid", help: "What a device asks for cannot be read." },
};
