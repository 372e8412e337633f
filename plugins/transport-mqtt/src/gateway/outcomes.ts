import { asFault, Fault } from "@heddle/plugin-sdk";

/** How the gateway is told of what became of one of its devices' messages (device-api 2.9). */
export const noticeReason = { rate: 150, unspecified: 128 } as const;

/** The fault by which a whole message is acknowledged, by the gravest of its parts; undefined when all were taken. */
export function gravest(faults: readonly unknown[]): Fault | undefined {
  let worst: Fault | undefined;
  for (const error of faults) {
    const fault = gatewayFault(asFault(error));
    if (worst === undefined || gravity(fault) > gravity(worst)) worst = fault;
  }
  return worst;
}

/** What the platform says of a child, as the gateway's verdicts know it. */
function gatewayFault(fault: Fault): Fault {
  const { code, kind, message } = fault;
  if (code === "device.payload" || code.startsWith("gateway.")) return fault;
  if (code === "registry.limit") return new Fault("denied", "gateway.full", message, { cause: fault });
  if (kind === "exhausted") return new Fault("exhausted", "gateway.limited", message, { cause: fault });
  // What passes by itself is not acknowledged: the gateway sends it again.
  if (kind === "unavailable") return fault;
  return new Fault("internal", "gateway.child", message, { cause: fault });
}

const order = ["gateway.child", "gateway.full", "device.payload", "gateway.limited"];

function gravity({ code }: Fault): number {
  const at = order.indexOf(code);
  return at < 0 ? order.length : at;
}
