import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "peer.unreachable": {
    kind: "unavailable",
    help: "No connection to the peer could be made; the message says why. Another secret, CA or version counts too.",
  },
  "peer.frame-too-large": { kind: "invalid", help: "A frame is larger than `frameBytes`; it was not sent." },
  "peer.overloaded": {
    kind: "exhausted",
    help: "The peer reads more slowly than this node sends, and the sends that wait hold `waitingBytes` already.",
  },
  "peer.closed": { kind: "unavailable", help: "The link does not listen yet, or has stopped." },
  "peer.listen": { kind: "unavailable", help: "The address cannot be listened on: in use, or not allowed." },
  "peer.unprotected": {
    kind: "invalid",
    help: "Without `tls` or `secret` anybody could join in: set one, or a `host` of this machine only (127.0.0.1).",
  },
  "peer.config": {
    kind: "invalid",
    help: "Settings that contradict each other, or a name or address that is unusable.",
  },
  "peer.tls": { kind: "invalid", help: "Certificate, key or CA cannot be read, or do not belong together." },
} as const satisfies FaultSpecs;

/** A fault of this plugin, with the kind that its code declares. */
export function fault(
  code: keyof typeof faults,
  message: string,
  more: { cause?: unknown; retryAfterMs?: number } = {},
) {
  return new Fault(faults[code].kind, code, message, more);
}

/** The text of whatever was thrown. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A host with several addresses fails with one error for each of them and an empty text.
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reasonOf).join("; ");
  return error.message;
}
