import { inspect } from "node:util";
import { generate } from "coap-packet";
import { expect, it } from "vitest";
import { decode, type Message } from "../../plugins/transport-coap/src/message.ts";
import { type Peer, serve } from "../../plugins/transport-coap/testing/server.ts";
import { datagram } from "./coap-messages.ts";
import { fuzz } from "./fuzzer.ts";
import { must, patience } from "./must.ts";

const facts = ({ code, messageId, token, confirmable, ack, reset, options, payload }: Message) =>
  inspect({ code, messageId, token, confirmable, ack, reset, options, payload }, { depth: 5, maxArrayLength: null });

it("what the CoAP reader takes for a message can be written and read again as the same", patience, async () => {
  const tried = await fuzz({
    name: "coap-message",
    make: datagram,
    check(bytes) {
      const message = decode(bytes);
      if (message === undefined) return;
      const again = decode(generate(message, 65_535));
      must(again !== undefined, `${facts(message)} is refused when written again`);
      must(facts(message) === facts(again as Message), `${facts(message)} becomes ${facts(again as Message)}`);
    },
  });
  expect(tried).toBeGreaterThan(0);
});

/** An exchange on the same socket, behind the input: its answer says that the input has been handled. */
async function served(peer: Peer, messageId: number): Promise<boolean> {
  const token = Buffer.from(`t${messageId}`);
  peer.request("POST", "api/v1/T1/telemetry", { messageId, token, payload: Buffer.from(`{"turn":${messageId}}`) });
  const answered = () => peer.received.some((message) => message.token.equals(token) && message.code === "2.01");
  for (const end = performance.now() + 10_000; performance.now() < end && !answered(); ) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return answered();
}

it("no datagram is a defect to the CoAP listener, and the next request is served", patience, async () => {
  await using server = await serve();
  server.platform.client = { a: "1" };
  server.platform.shared = { c: '{"d":[2.0]}' };
  let turn = 0;
  let peer: Peer | undefined;
  const tried = await fuzz({
    name: "coap-datagram",
    make: datagram,
    async check(bytes) {
      // A socket of its own now and then: what is left open of inputs before counts against a peer.
      if (peer === undefined || turn % 50 === 0) peer = await server.peer();
      server.errors.length = 0;
      peer.raw(bytes);
      must(await served(peer, 0x4000 + (turn++ % 0x4000)), "the next request was not served");
      must(server.errors.length === 0, `logged ${inspect(server.errors[0])}`);
      server.platform.telemetryTexts.length = 0;
      server.platform.attributeTexts.length = 0;
      server.platform.replies.length = 0;
      server.platform.calls.length = 0;
      peer.received.length = 0;
    },
  });
  expect(tried).toBeGreaterThan(0);
});
