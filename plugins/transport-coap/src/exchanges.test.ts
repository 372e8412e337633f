import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { option, type Peer, serve, type TestServer } from "../testing/server.ts";

const telemetry = "api/v1/T1/telemetry";
const body = { payload: Buffer.from('{"t":1}') };
const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("exchanges", () => {
  let server: TestServer;
  let peer: Peer;
  beforeEach(async () => {
    server = await serve();
    peer = await server.peer();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const received = (count: number) => vi.waitFor(() => expect(peer.received).toHaveLength(count), 5_000);

  it("COAP-25 transports 24: a confirmable request that comes three times is handled once", async () => {
    const messageId = peer.request("POST", telemetry, body);
    await received(1);
    peer.request("POST", telemetry, { ...body, messageId });
    peer.request("POST", telemetry, { ...body, messageId });
    await received(3);
    expect(server.platform.handled).toBe(1);
    for (const answer of peer.received) expect(answer).toMatchObject({ ack: true, code: "2.01", messageId });
    expect(server.counts.of("dropped/duplicate")).toBe(2);
  });

  it("transports 24: a copy that comes while the request is in progress is not handled", async () => {
    let commit = () => {};
    server.platform.commit = () => new Promise((resolve) => (commit = resolve));
    const messageId = peer.request("POST", telemetry, body);
    peer.request("POST", telemetry, { ...body, messageId });
    await vi.waitFor(() => expect(server.counts.of("dropped/duplicate")).toBe(1));
    commit();
    await received(1);
    expect(server.platform.handled).toBe(1);
  });

  it("COAP-23 transports 24: a non-confirmable request that comes twice is handled once and answered so", async () => {
    const messageId = peer.request("POST", telemetry, { ...body, confirmable: false });
    peer.request("POST", telemetry, { ...body, confirmable: false, messageId });
    await received(1);
    await rest(50);
    expect(peer.received).toHaveLength(1);
    expect(peer.received[0]).toMatchObject({ code: "2.01", ack: false, confirmable: false });
    expect(peer.received[0]?.token.toString()).toBe("tk");
    expect(server.platform.telemetryTexts).toEqual(['{"t":1}']);
  });

  it("transports 24: empty acknowledgement after 500 ms, then a separate answer until it is acknowledged", async () => {
    let commit = () => {};
    server.platform.commit = () => new Promise((resolve) => (commit = resolve));
    const began = performance.now();
    const messageId = peer.request("POST", telemetry, body);
    await received(1);
    expect(peer.received[0]).toMatchObject({ ack: true, code: "0.00", messageId });
    const waited = (peer.received[0]?.at ?? 0) - began;
    expect(waited).toBeGreaterThan(480);
    expect(waited).toBeLessThan(900);

    peer.request("POST", telemetry, { ...body, messageId });
    await received(2);
    expect(peer.received[1]).toMatchObject({ ack: true, code: "0.00", messageId });

    commit();
    await received(3);
    const answer = peer.received[2];
    expect(answer).toMatchObject({ confirmable: true, code: "2.01" });
    expect(answer?.token.toString()).toBe("tk");

    peer.acknowledge(answer?.messageId ?? 0);
  });

  it("transports 24: a ping is reset", async () => {
    const messageId = peer.send({ confirmable: true, code: "0.00" });
    await received(1);
    expect(peer.received[0]).toMatchObject({ reset: true, code: "0.00", messageId });
  });

  it("transports 24: an unknown critical option is 4.02 for a confirmable request, silence for others", async () => {
    const options = [{ name: "65001", value: Buffer.from("x") }];
    peer.request("POST", telemetry, { ...body, options, confirmable: false });
    peer.request("POST", telemetry, { ...body, options });
    await received(1);
    expect(peer.received[0]).toMatchObject({ ack: true, code: "4.02" });
    peer.request("POST", telemetry, { ...body, options: [{ name: "65000", value: Buffer.from("x") }] });
    await received(2);
    expect(peer.received[1]).toMatchObject({ ack: true, code: "2.01" });
    expect(server.platform.handled).toBe(1);
  });

  it("options that would send it elsewhere are 5.05, a reserved block size is 4.00", async () => {
    peer.request("POST", telemetry, { ...body, options: [{ name: "Proxy-Scheme", value: Buffer.from("coap") }] });
    peer.request("POST", telemetry, { ...body, options: [{ name: "Block1", value: Buffer.from([7]) }] });
    await received(2);
    expect(peer.received.map(({ code }) => code)).toEqual(["5.05", "4.00"]);
  });

  it("transports 24: the 17th concurrent request of a peer is 5.03, and others are served", async () => {
    const held: (() => void)[] = [];
    server.platform.commit = () => new Promise((resolve) => held.push(resolve));
    for (let i = 0; i < 16; i++) peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(held).toHaveLength(16));
    peer.request("POST", telemetry, { ...body, confirmable: false });
    peer.request("POST", telemetry, body);
    await received(1);
    expect(peer.received[0]).toMatchObject({ ack: true, code: "5.03" });
    expect(server.counts.of("dropped/peer-limit")).toBe(2);

    server.platform.commit = async () => {};
    const other = await server.peer();
    other.request("POST", telemetry, body);
    await vi.waitFor(() => expect(other.received[0]).toMatchObject({ code: "2.01" }));
    for (const commit of held) commit();
    await received(17);
    peer.request("POST", telemetry, body);
    await received(18);
    expect(peer.received[17]).toMatchObject({ code: "2.01" });
  });

  it("what is no message is never answered", async () => {
    for (const text of ["", "ff", "40010001ff", "4901000101020304050607080900", "400100 01b361", "40e10001"]) {
      peer.raw(Buffer.from(text.replaceAll(" ", ""), "hex"));
    }
    await vi.waitFor(() => expect(server.counts.of("dropped/malformed")).toBe(6));
    expect(peer.received).toHaveLength(0);
  });

  it("an answer to a question nobody asked is reset when it is confirmable", async () => {
    const messageId = peer.send({ confirmable: true, code: "2.05" });
    peer.send({ code: "2.05" });
    peer.send({ ack: true, code: "2.05" });
    peer.acknowledge(77);
    peer.reset(78);
    await received(1);
    expect(peer.received[0]).toMatchObject({ reset: true, messageId });
    await vi.waitFor(() => expect(server.counts.of("dropped/unexpected")).toBe(3));
  });

  it("a path may come as one option with slashes, and a method that is none is 4.05", async () => {
    const path = [{ name: "Uri-Path", value: Buffer.from("/api/v1/T1/telemetry") }];
    peer.send({ confirmable: true, code: "0.02", options: path, ...body });
    peer.send({ confirmable: true, code: "0.31", options: path, ...body });
    await received(2);
    expect(peer.received.map(({ code }) => code)).toEqual(["2.01", "4.05"]);
    expect(option(peer.received[0], "Content-Format")).toBeUndefined();
  });
});

describe("exchanges, ten times as fast", () => {
  let server: TestServer;
  let peer: Peer;
  let commit: () => void;
  beforeEach(async () => {
    server = await serve({}, 10);
    server.platform.commit = () => new Promise((resolve) => (commit = resolve));
    peer = await server.peer();
    peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(peer.received).toHaveLength(1));
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it("transports 24: a separate answer is sent again after 2 to 3 s until it is acknowledged", async () => {
    commit();
    await vi.waitFor(() => expect(peer.received).toHaveLength(3), 2_000);
    const [, first, second] = peer.received;
    expect(second).toMatchObject({ confirmable: true, code: "2.01", messageId: first?.messageId });
    const waited = ((second?.at ?? 0) - (first?.at ?? 0)) * 10;
    expect(waited).toBeGreaterThan(1_900);
    expect(waited).toBeLessThan(3_600);
    peer.acknowledge(first?.messageId ?? 0);
    await rest(900);
    expect(peer.received).toHaveLength(3);
  });

  it("a separate answer that is reset is not sent again", async () => {
    commit();
    await vi.waitFor(() => expect(peer.received).toHaveLength(2));
    peer.reset(peer.received[1]?.messageId ?? 0);
    await rest(700);
    expect(peer.received).toHaveLength(2);
  });

  it("a request without an outcome is answered 5.04 after 10 s, and holds its place", async () => {
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
    await vi.waitFor(() => expect(peer.received).toHaveLength(2), 2_000);
    expect(peer.received[1]).toMatchObject({ confirmable: true, code: "5.04" });
    commit();
    await rest(100);
    expect(peer.received).toHaveLength(2);
  });
});

describe("exchanges, scarce", () => {
  it("a separate answer is sent five times at most", async () => {
    await using server = await serve({}, 40);
    server.platform.commit = () => rest(40);
    const peer = await server.peer();
    peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(peer.received).toHaveLength(6), 4_000);
    await rest(1_500);
    expect(peer.received).toHaveLength(6);
  });

  it("what is in progress is bounded by bytes", async () => {
    await using server = await serve({ pendingBytes: 4_000 });
    server.platform.commit = () => new Promise(() => {});
    const peer = await server.peer();
    for (let i = 0; i < 5; i++) peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(peer.received.map(({ code }) => code)).toEqual(["5.03", "5.03"]));
    expect(server.counts.of("dropped/overload")).toBe(2);
  });

  it("the window of copies is bounded by count and by time", async () => {
    await using server = await serve({ remembered: 10, rememberFor: 15_000 }, 10);
    const peer = await server.peer();
    const first = peer.request("POST", telemetry, body);
    for (let i = 0; i < 9; i++) peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(peer.received).toHaveLength(10));
    peer.request("POST", telemetry, { ...body, messageId: first });
    await vi.waitFor(() => expect(peer.received).toHaveLength(11));
    expect(server.platform.handled).toBe(10);
    const eleventh = peer.request("POST", telemetry, body);
    await vi.waitFor(() => expect(peer.received).toHaveLength(12));
    peer.request("POST", telemetry, { ...body, messageId: first });
    await vi.waitFor(() => expect(server.platform.handled).toBe(12));
    await rest(1_700);
    peer.request("POST", telemetry, { ...body, messageId: eleventh });
    await vi.waitFor(() => expect(server.platform.handled).toBe(13));
  });
});
