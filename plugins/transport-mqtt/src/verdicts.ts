import type { Fault } from "@heddle/plugin-sdk";
import type { Version } from "./codec.ts";
import { reason } from "./reasons.ts";

/** What a device is told of a message that was not taken. */
export interface Verdict {
  /** Reason code of its acknowledgement, which versions before 5 do not see; undefined: it gets none. */
  readonly ack?: number;
  /** The connection ends, behind a DISCONNECT with this reason; `plain` has none. */
  readonly end?: number | "plain";
}

export interface Refused {
  readonly version: Version;
  readonly qos0: boolean;
  /** The profile wants what cannot be read to be acknowledged, on 3.1 and 3.1.1 too. */
  readonly ackInvalid: boolean;
}

/** device-api 2.4.2–2.4.4 and, for messages of gateways, the table of 2.9 with its corrections. */
export function verdictOf(fault: Fault, how: Refused): Verdict {
  switch (fault.code) {
    case "gateway.shape":
      return { ack: reason.implementation, end: reason.implementation };
    case "gateway.limited":
      return how.qos0 ? {} : { ack: reason.quota, end: "plain" };
    case "gateway.full":
      return { ack: reason.quota };
    case "gateway.child":
      return { ack: reason.unspecified };
    case "gateway.request":
      return { ack: reason.implementation };
    case "mqtt.package":
      return { end: reason.implementation };
    case "mqtt.uncaught":
      return { end: reason.leaving };
  }
  const code = reasonOfFault(fault);
  const mayStay =
    !how.qos0 && code !== reason.implementation && (how.version === 5 || (code === reason.payload && how.ackInvalid));
  return mayStay ? { ack: code } : { end: code };
}

function reasonOfFault({ kind }: Fault): number {
  if (kind === "invalid") return reason.payload;
  return kind === "denied" ? reason.notAuthorised : reason.implementation;
}
