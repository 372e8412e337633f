import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FakeSession } from "../testing/platform.ts";
import { option, type Peer, serve, type TestServer } from "../testing/server.ts";

const attributes = "api/v1/T1/attributes";
const rpc = "api/v1/T1/rpc";
const call = { signal: new AbortController().signal };
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const registration = (value: 0 | 1) => [{ name: "Observe", value: value === 0 ? Buffer.alloc(0) : Buffer.from([1]) }];

describe("observing", () => {
  let server: TestServer;
  let peer: Peer;
  beforeEach(async () => {
    server = await serve();
    server.platform.shared = { k: "1" };
    peer = await server.peer();
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const texts = () => peer.received.map(({ code, payload }) => `${code} ${payload?.toString() ?? ""}`.trim());
  const received = (count: number) => vi.waitFor(() => expect(peer.received).toHaveLength(count), 3_000);
  const session = (at = 0) => server.platform.sessions[at] as FakeSession;

  async function observe(path: string, more: { confirmable?: boolean; token?: string; from?: Peer } = {}) {
    const { confirmable = true, token = "tk", from = peer } = more;
    const before = from.received.length;
    from.request("GET", path, { confirmable, token: Buffer.from(token), options: registration(0) });
    await vi.waitFor(() => expect(from.received.length).toBeGreaterThan(before));
  }

  it("COAP-08 all shared attributes first, then every change, numbered upwards", async () => {
    await observe(attributes);
    expect(session().subscriptions).toEqual(["+attributes"]);
    expect(session().about).toMatchObject({ transport: "coap" });
    expect(session().about.poll).toBeUndefined();
    await session().down.deliverAttributes('{"k":2}', call);
    await session().down.deliverAttributes('{"deleted":["k"]}', call);
    expect(texts()).toEqual(['2.05 {"k":1}', '2.05 {"k":2}', '2.05 {"deleted":["k"]}']);
    expect(peer.received.map((message) => option(message, "Observe"))).toEqual([0, 1, 2]);
    expect(peer.received.map((message) => option(message, "Content-Format"))).toEqual([50, 50, 50]);
    expect(peer.received[1]?.confirmable).toBe(true);
    expect(peer.received[1]?.token.toString()).toBe("tk");
  });

  it("COAP-08 without shared attributes the first response is an empty object", async () => {
    server.platform.shared = {};
    await observe(attributes);
    expect(texts()).toEqual(["2.05 {}"]);
  });

  it("COAP-08 a non-confirmable observer is notified without confirmation", async () => {
    await observe(attributes, { confirmable: false });
    await session().down.deliverAttributes('{"k":2}', call);
    await received(2);
    expect(peer.received.map(({ confirmable, ack }) => [confirmable, ack])).toEqual([
      [false, false],
      [false, false],
    ]);
  });

  it("COAP-09 cancelled by observe 1: 2.02, no further notification, and the session ends", async () => {
    await observe(attributes);
    peer.request("GET", attributes, { token: Buffer.from("tk"), options: registration(1) });
    await received(2);
    expect(peer.received[1]).toMatchObject({ ack: true, code: "2.02" });
    expect(session().closed.aborted).toBe(true);
    await expect(session().down.deliverAttributes('{"k":2}', call)).rejects.toMatchObject({
      code: "coap.not-observed",
    });
    await rest(50);
    expect(peer.received).toHaveLength(2);
  });

  it("cancelling what is not observed is a read, and 4.04 for calls", async () => {
    peer.request("GET", attributes, { options: registration(1) });
    peer.request("GET", rpc, { options: registration(1) });
    await received(2);
    expect(texts()).toEqual(['2.05 {"shared":{"k":1}}', "4.04"]);
  });

  it("COAP-10 calls: 2.03 first, then the call, delivered when it is acknowledged", async () => {
    await observe(rpc);
    expect(texts()).toEqual(["2.03"]);
    expect(option(peer.received[0], "Observe")).toBe(0);
    peer.onMessage = () => {};
    let delivered = false;
    const request = { requestId: 0, method: 'set"Relay', params: '{"on":true}', oneway: false };
    const delivery = session()
      .down.deliverRpc(request, call)
      .then(() => (delivered = true));
    await received(2);
    expect(texts()[1]).toBe('2.05 {"id":0,"method":"set\\"Relay","params":{"on":true}}');
    await rest(50);
    expect(delivered).toBe(false);
    peer.acknowledge(peer.received[1]?.messageId ?? 0);
    await delivery;
    peer.request("POST", `${rpc}/0`, { payload: Buffer.from('{"ok":1}') });
    await received(3);
    expect(peer.received[2]).toMatchObject({ code: "2.01" });
    expect(server.platform.replies).toEqual([{ id: 0, text: '{"ok":1}' }]);
  });

  it("a call that waits for the subscription comes after the first response", async () => {
    const request = { requestId: 3, method: "m", params: "null", oneway: true };
    server.platform.onSubscribe = (open) => {
      void open.down.deliverRpc(request, call);
    };
    await observe(rpc);
    await received(2);
    expect(texts()).toEqual(["2.03", '2.05 {"id":3,"method":"m","params":null}']);
    expect(peer.received.map((message) => option(message, "Observe"))).toEqual([0, 1]);
  });

  it("one confirmable notification waits at a time", async () => {
    await observe(attributes);
    peer.onMessage = () => {};
    const pushes = [2, 3, 4].map((value) => session().down.deliverAttributes(`{"k":${value}}`, call));
    await received(2);
    await rest(50);
    expect(peer.received).toHaveLength(2);
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
    peer.acknowledge(peer.received[1]?.messageId ?? 0);
    await Promise.all(pushes);
    expect(texts().slice(1)).toEqual(['2.05 {"k":2}', '2.05 {"k":3}', '2.05 {"k":4}']);
  });

  it.each([true, false])("transports 24: a reset cancels an observer (confirmable: %s)", async (confirmable) => {
    await observe(attributes, { confirmable });
    peer.onMessage = ({ messageId }) => peer.reset(messageId);
    const push = session().down.deliverAttributes('{"k":2}', call);
    if (confirmable) await expect(push).rejects.toMatchObject({ code: "coap.observer-lost" });
    await vi.waitFor(() => expect(session().closed.aborted).toBe(true));
    await rest(50);
    expect(peer.received).toHaveLength(2);
  });

  it("COAP-24 a second observation of the device ends the first with 2.02, in one session", async () => {
    await observe(attributes, { token: "t1" });
    await observe(attributes, { token: "t2" });
    const last = () => peer.received.filter(({ token }) => token.toString() === "t1");
    await vi.waitFor(() => expect(last()).toHaveLength(2));
    expect(last()[1]).toMatchObject({ code: "2.02", confirmable: true });
    expect(option(last()[1], "Observe")).toBeUndefined();
    await session().down.deliverAttributes('{"k":2}', call);
    expect(peer.received.at(-1)?.token.toString()).toBe("t2");
    expect(server.platform.sessions).toHaveLength(1);
    expect(session().closed.aborted).toBe(false);
  });

  it("registering again with the same token goes on counting", async () => {
    await observe(attributes);
    await session().down.deliverAttributes('{"k":2}', call);
    await observe(attributes);
    expect(peer.received.map((message) => option(message, "Observe"))).toEqual([0, 1, 2]);
    expect(texts().filter((text) => text === "2.02")).toEqual([]);
  });

  it("attributes and calls live in one session that ends with the last of them", async () => {
    await observe(attributes, { token: "a" });
    await observe(rpc, { token: "r" });
    expect(session().subscriptions).toEqual(["+attributes", "+rpc"]);
    peer.request("GET", attributes, { token: Buffer.from("a"), options: registration(1) });
    await received(3);
    await vi.waitFor(() => expect(session().subscriptions).toEqual(["+attributes", "+rpc", "-attributes"]));
    expect(session().closed.aborted).toBe(false);
    peer.request("GET", rpc, { token: Buffer.from("r"), options: registration(1) });
    await received(4);
    expect(session().closed.aborted).toBe(true);
    expect(server.platform.sessions).toHaveLength(1);
  });

  it.each([
    ["replaced", "2.02"],
    ["credentials", "4.01"],
    ["deleted", "4.04"],
  ] as const)("when the session ends (%s) the observer hears %s", async (reason, code) => {
    await observe(attributes);
    session().end(reason);
    await received(2);
    expect(peer.received[1]).toMatchObject({ code, confirmable: true });
    await observe(attributes);
    expect(server.platform.sessions).toHaveLength(2);
  });

  it("when the listener stops the observers hear 5.03", async () => {
    await observe(attributes);
    await server.server.stop();
    await received(2);
    expect(peer.received[1]).toMatchObject({ code: "5.03" });
    expect(session().closed.aborted).toBe(true);
  });

  it("an observer that does not keep up is ended and told so", async () => {
    await observe(attributes);
    peer.onMessage = () => {};
    const pushes = Array.from({ length: 130 }, () => session().down.deliverAttributes('{"k":2}', call));
    const outcomes = await Promise.allSettled(pushes);
    const codes = outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.code);
    expect(codes.at(-1)).toBe("coap.observer-slow");
    expect(codes[0]).toBe("coap.observer-lost");
    await vi.waitFor(() => expect(texts()).toContain("5.03"));
    expect(session().closed.aborted).toBe(true);
  });

  it("what cannot be opened is answered and leaves nothing", async () => {
    server.platform.onSubscribe = () => Promise.reject(new Error("no"));
    await observe(attributes);
    expect(texts()).toEqual(["5.00"]);
    server.platform.onSubscribe = () => {};
    await observe(attributes);
    expect(texts()[1]).toBe('2.05 {"k":1}');
  });

  it("transports 24: 1,000 observers are notified within 500 ms", async () => {
    const sent = new Set<string>();
    for (let i = 0; i < 1_000; i++) server.platform.device(`D${i}`);
    for (let i = 0; i < 1_000; i += 10) {
      const before = peer.received.length;
      for (let k = i; k < i + 10; k++) {
        const token = Buffer.from(String(k));
        peer.request("GET", `api/v1/D${k}/attributes`, { token, options: registration(0) });
      }
      await vi.waitFor(() => expect(peer.received.length).toBe(before + 10), { interval: 2, timeout: 2_000 });
    }
    peer.onMessage = ({ messageId, token }) => {
      peer.acknowledge(messageId);
      sent.add(token.toString());
    };
    const began = performance.now();
    await Promise.all(server.platform.sessions.map(({ down }) => down.deliverAttributes('{"k":2}', call)));
    expect(performance.now() - began).toBeLessThan(500);
    expect(sent.size).toBe(1_000);
  });
});

describe("observing, faster or scarce", () => {
  it("an observer that confirms nothing is gone after the retransmissions", async () => {
    await using server = await serve({}, 20);
    const peer = await server.peer();
    peer.request("GET", attributes, { options: registration(0) });
    await vi.waitFor(() => expect(peer.received).toHaveLength(1));
    const [session] = server.platform.sessions;
    await expect(session?.down.deliverAttributes("{}", call)).rejects.toMatchObject({ code: "coap.observer-lost" });
    expect(peer.received).toHaveLength(6);
    expect(session?.closed.aborted).toBe(true);
  });

  it("a silent observer keeps its session alive", async () => {
    await using server = await serve({}, 40);
    const peer = await server.peer();
    peer.request("GET", attributes, { options: registration(0) });
    await vi.waitFor(() => expect(server.platform.sessions[0]?.touches).toBeGreaterThan(1), 4_000);
  });

  it("observers are bounded", async () => {
    await using server = await serve({ observers: 1 });
    server.platform.device("T2");
    const peer = await server.peer();
    peer.request("GET", attributes, { options: registration(0) });
    peer.request("GET", "api/v1/T2/attributes", { options: registration(0) });
    await vi.waitFor(() => expect(peer.received.map(({ code }) => code)).toEqual(["2.05", "5.03"]));
  });
});
