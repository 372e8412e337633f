import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "http.listen": { kind: "unavailable", help: "The port cannot be listened on." },
  "http.mount": { kind: "invalid", help: "Two plugins want the same path." },
};
