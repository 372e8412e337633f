import type { Sessions } from "@heddle/plugin-sdk";
import { describeTransport } from "@heddle/plugin-sdk/testing";
import { Peer } from "../testing/peer.ts";
import { transportOver } from "../testing/room.ts";

/** On MQTT a token comes as a user name, which may be other credentials too: the proof is `basic` (device-api 1.3). */
const withTokens = (sessions: Sessions): Sessions => ({
  authenticate: (by, call) =>
    sessions.authenticate(by.kind === "basic" ? { kind: "token", token: by.userName } : by, call),
  isBlocked: (address) => sessions.isBlocked(address),
  identify: (deviceId, call) => sessions.identify(deviceId, call),
  open: (who, about, down, call) => sessions.open(who, about, down, call),
  visit: (who) => sessions.visit(who),
});

describeTransport("mqtt", {
  create: async (sessions) => {
    const transport = transportOver(withTokens(sessions));
    await transport.start(new AbortController().signal);
    return {
      connect: async (token) => {
        const peer = new Peer(Number(new URL(transport.addresses[0]!).port), 5);
        peer.connect({ username: token });
        if ((await peer.next("connack")).reasonCode !== 0) return "refused";
        return {
          sendTelemetry: async (document) => {
            peer.publish("v1/devices/me/telemetry", document);
            return (await peer.next("puback")).reasonCode ? "refused" : "accepted";
          },
          [Symbol.asyncDispose]: async () => peer.destroy(),
        };
      },
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  },
});
