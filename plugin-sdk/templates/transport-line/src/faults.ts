import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "line.listen": { kind: "unavailable", help: "The address cannot be listened on: in use, or not allowed." },
  "line.unread": { kind: "unavailable", help: "The device has left, or does not read what it is sent." },
  "line.form": { kind: "invalid", help: "A line is too long, or begins with no verb of the protocol." },
};
