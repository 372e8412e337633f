import { generate, type Option } from "coap-packet";
import type { Dice } from "./dice.ts";
import { telemetryText } from "./json-text.ts";

const paths = [
  "api/v1/T1/telemetry",
  "api/v1/T1/attributes",
  "api/v1/T1/rpc",
  "api/v1/T1/rpc/7",
  "api/v1/T1/claim",
  "api/v1/provision",
  "api/v1/NOBODY/telemetry",
  "fw/T1",
  "sw/T1",
  ".well-known/core",
  "efento/m",
  "__proto__/constructor",
  "",
];
const queries = ["clientKeys=a,b", "sharedKeys=c", "title=x", "chunk=0", "size=1024", "__proto__=1", "=", ""];
const codes = ["GET", "POST", "PUT", "DELETE", "FETCH", "0.00", "2.05", "4.04", "7.31"];
/** With what a number can be: nothing, little, all that fits, too much. */
const numeric = ["Observe", "Content-Format", "Accept", "Block1", "Block2", "Size1", "Size2", "Max-Age", "Uri-Port"];
const opaque = ["If-Match", "ETag", "Uri-Host", "Proxy-Uri", "Proxy-Scheme", "OSCORE", "292", "65001", "2049"];

export function datagram(dice: Dice): Buffer {
  const kind = dice.below(4);
  const code = kind < 2 && dice.chance(0.9) ? dice.pick(["GET", "POST"]) : dice.pick(codes);
  const packet = {
    confirmable: kind === 0,
    ack: kind === 2,
    reset: kind === 3,
    code,
    messageId: dice.below(8),
    token: dice.bytes(dice.below(9)),
    options: optionsOf(dice),
    payload: payloadOf(dice),
  };
  try {
    return generate(packet, 65_535);
  } catch {
    // The codec does not write everything that can be sent.
    return dice.bytes(dice.length(64));
  }
}

function optionsOf(dice: Dice): Option[] {
  const segments = dice.pick(paths).split("/");
  const path = dice.chance(0.9) ? segments : [segments.join("/")];
  return [
    ...path.map((part) => ({ name: "Uri-Path", value: Buffer.from(part) })),
    ...dice.some(2, () => ({ name: "Uri-Query", value: Buffer.from(dice.pick(queries)) })),
    ...dice.some(2, () => ({ name: dice.pick(numeric), value: dice.bytes(dice.below(5)) })),
    ...(dice.chance(0.1) ? [{ name: dice.pick(opaque), value: dice.bytes(dice.length(300)) }] : []),
  ];
}

function payloadOf(dice: Dice): Buffer {
  const kind = dice.below(4);
  if (kind === 0) return Buffer.alloc(0);
  if (kind === 1) return dice.bytes(dice.length(1_200));
  return Buffer.from(kind === 2 ? telemetryText(dice, dice.chance(0.3)) : '{"method":"m","params":{}}');
}
