import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Child } from "../testing/child.ts";
import { option, Peer, serve, type TestServer } from "../testing/server.ts";
import { type Block, blockBytes } from "./request.ts";

const telemetry = "api/v1/T1/telemetry";
const filled = (name: string, length: number) => Buffer.from(`{"${name}":"${name.repeat(length)}"}`);
const mask = (message: Parameters<typeof option>[0], name: string) => option(message, name) ?? -1;

describe("block-wise transfers", () => {
  let server: TestServer;
  let peer: Peer;
  beforeEach(async () => {
    server = await serve();
    peer = await server.peer();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  async function send(block: Block, payload: Buffer, more: { tag?: string; path?: string; size1?: number } = {}) {
    const before = peer.received.length;
    const options = [{ name: "Block1", value: blockBytes(block) }];
    if (more.tag !== undefined) options.push({ name: "292", value: Buffer.from(more.tag) });
    if (more.size1 !== undefined) options.push({ name: "Size1", value: Buffer.from([0, more.size1 >> 16, 0, 0]) });
    peer.request("POST", more.path ?? telemetry, { token: Buffer.alloc(0), options, payload });
    await vi.waitFor(() => expect(peer.received.length).toBe(before + 1));
    return peer.received.at(-1);
  }

  const part = (body: Buffer, num: number, size: number) => body.subarray(num * size, (num + 1) * size);

  it("transports 23: two uploads at once, without tokens, do not mix", async () => {
    const a = filled("a", 100);
    const b = filled("b", 100);
    for (let num = 0; num < 4; num++) {
      const block = { num, more: num < 3, szx: 1 };
      const code = num < 3 ? "2.31" : "2.01";
      const first = await send(block, part(a, num, 32), { tag: "x" });
      expect(first).toMatchObject({ code });
      expect(mask(first, "Block1")).toBe(num * 16 + (num < 3 ? 8 : 0) + 1);
      expect(await send(block, part(b, num, 32), { tag: "y" })).toMatchObject({ code });
    }
    expect(server.platform.telemetryTexts).toEqual([a.toString(), b.toString()]);
  });

  it("transports 23: uploads of two peers to one path do not mix", async () => {
    const mine = filled("a", 40);
    const other = await server.peer();
    await send({ num: 0, more: true, szx: 1 }, part(mine, 0, 32));
    const options = [{ name: "Block1", value: blockBytes({ num: 0, more: true, szx: 1 }) }];
    other.request("POST", telemetry, { token: Buffer.alloc(0), options, payload: Buffer.alloc(32, "b") });
    await vi.waitFor(() => expect(other.received[0]).toMatchObject({ code: "2.31" }));
    await send({ num: 1, more: false, szx: 1 }, part(mine, 1, 32));
    expect(server.platform.telemetryTexts).toEqual([mine.toString()]);
  });

  it("transports 23: block number 1048575 is 4.08 and takes no memory", async () => {
    const before = process.memoryUsage();
    const far = { num: 1_048_575, more: true, szx: 6 };
    expect(await send(far, Buffer.alloc(1_024))).toMatchObject({ code: "4.08" });
    await send({ num: 0, more: true, szx: 6 }, Buffer.alloc(1_024));
    expect(await send(far, Buffer.alloc(1_024))).toMatchObject({ code: "4.08" });
    expect(await send({ ...far, more: false }, Buffer.alloc(1))).toMatchObject({ code: "4.08" });
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(4 * 1024 * 1024);
  });

  it("a block that comes again is confirmed again, a gap is 4.08, and the upload goes on", async () => {
    const body = filled("a", 60);
    await send({ num: 0, more: true, szx: 1 }, part(body, 0, 32));
    await send({ num: 1, more: true, szx: 1 }, part(body, 1, 32));
    expect(await send({ num: 1, more: true, szx: 1 }, part(body, 1, 32))).toMatchObject({ code: "2.31" });
    expect(await send({ num: 3, more: true, szx: 1 }, part(body, 1, 32))).toMatchObject({ code: "4.08" });
    expect(await send({ num: 2, more: false, szx: 1 }, part(body, 2, 32))).toMatchObject({ code: "2.01" });
    expect(server.platform.telemetryTexts).toEqual([body.toString()]);
  });

  it("a block of another size than it says is 4.00", async () => {
    expect(await send({ num: 0, more: true, szx: 1 }, Buffer.alloc(31))).toMatchObject({ code: "4.00" });
    expect(await send({ num: 0, more: false, szx: 1 }, Buffer.alloc(33))).toMatchObject({ code: "4.00" });
  });

  it("a body beyond the limit is 4.13, as soon as that is known", async () => {
    const announced = await send({ num: 0, more: true, szx: 6 }, Buffer.alloc(1_024), { size1: 1 << 20 });
    expect(announced).toMatchObject({ code: "4.13" });
    expect(mask(announced, "Size1")).toBe(64 * 1024);
    for (let num = 0; num < 64; num++) {
      expect(await send({ num, more: true, szx: 6 }, Buffer.alloc(1_024))).toMatchObject({ code: "2.31" });
    }
    expect(await send({ num: 64, more: true, szx: 6 }, Buffer.alloc(1_024))).toMatchObject({ code: "4.13" });
  });

  it("an answer larger than a block comes in blocks of the size asked for", async () => {
    server.platform.shared = { k: JSON.stringify("v".repeat(3_000)) };
    const whole = `{"shared":{"k":"${"v".repeat(3_000)}"}}`;
    const parts: string[] = [];
    for (let num = 0, more = true; more; num++) {
      const options = num === 0 ? [] : [{ name: "Block2", value: blockBytes({ num, more: false, szx: 6 }) }];
      peer.request("GET", "api/v1/T1/attributes", { token: Buffer.from([num]), options });
      await vi.waitFor(() => expect(peer.received).toHaveLength(num + 1));
      const answer = peer.received[num];
      if (num === 0) expect(mask(answer, "Size2")).toBe(whole.length);
      expect(answer?.code).toBe("2.05");
      expect(mask(answer, "Block2") >> 4).toBe(num);
      more = (mask(answer, "Block2") & 8) !== 0;
      parts.push(answer?.payload.toString() ?? "");
      // A change in between does not get mixed in.
      server.platform.shared = { k: "1" };
    }
    expect(parts.join("")).toBe(whole);
    expect(new Set(peer.received.map((message) => mask(message, "ETag"))).size).toBe(1);
  });

  it("a notification larger than a block is fetched to its end", async () => {
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
    peer.request("GET", "api/v1/T1/attributes", { options: [{ name: "Observe", value: Buffer.alloc(0) }] });
    await vi.waitFor(() => expect(peer.received).toHaveLength(1));
    const json = JSON.stringify({ k: "v".repeat(1_500) });
    const [session] = server.platform.sessions;
    await session?.down.deliverAttributes(json, { signal: new AbortController().signal });
    const options = [{ name: "Block2", value: blockBytes({ num: 1, more: false, szx: 6 }) }];
    peer.request("GET", "api/v1/T1/attributes", { options });
    await vi.waitFor(() => expect(peer.received).toHaveLength(3));
    expect(peer.received[1]?.payload.toString() + (peer.received[2]?.payload.toString() ?? "")).toBe(json);
    expect(option(peer.received[2], "Observe")).toBeUndefined();
  });

  it("a block behind the end is 4.00, a later block of a lost call's answer 4.08", async () => {
    const options = [{ name: "Block2", value: blockBytes({ num: 9, more: false, szx: 6 }) }];
    server.platform.shared = { k: "1" };
    peer.request("GET", "api/v1/T1/attributes", { options });
    peer.request("POST", "api/v1/T1/rpc", { options });
    await vi.waitFor(() => expect(peer.received.map(({ code }) => code)).toEqual(["4.00", "4.08"]));
  });
});

describe("block-wise transfers, scarce", () => {
  it("transports 23: 20,000 unfinished uploads are capped", async () => {
    await using server = await Child.start({ transfers: 100 });
    const peer = await Peer.open(server.port);
    const options = [{ name: "Block1", value: blockBytes({ num: 0, more: true, szx: 6 }) }];
    const payload = Buffer.alloc(1_024, "x");
    const before = await server.memory();
    for (let i = 0; i < 20_000; i += 10) {
      for (let k = i; k < i + 10; k++) {
        const tag = { name: "292", value: Buffer.from(String(k)) };
        peer.request("POST", telemetry, { token: Buffer.alloc(0), options: [...options, tag], payload });
      }
      while (peer.received.length < i + 10) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peer.received.every(({ code }) => code === "2.31")).toBe(true);
    expect((await server.memory()) - before).toBeLessThan(150 * 1024 * 1024);
    const rest = { token: Buffer.alloc(0), payload: Buffer.from("x") };
    const last = (tag: number) => [
      { name: "Block1", value: blockBytes({ num: 1, more: false, szx: 6 }) },
      { name: "292", value: Buffer.from(String(tag)) },
    ];
    peer.request("POST", telemetry, { ...rest, options: last(19_899) });
    peer.request("POST", telemetry, { ...rest, options: last(19_900) });
    // Forgotten, and there but no object.
    await vi.waitFor(() => expect(peer.received.slice(20_000).map(({ code }) => code)).toEqual(["4.08", "4.00"]));
    peer.close();
  });

  it("an unfinished upload is forgotten after its age, and when bytes are short", async () => {
    await using server = await serve({ transferAge: 1_000, transferBytes: 5_000 }, 10);
    const peer = await server.peer();
    const upload = (num: number, tag: string) => {
      const options = [
        { name: "Block1", value: blockBytes({ num, more: true, szx: 6 }) },
        { name: "292", value: Buffer.from(tag) },
      ];
      peer.request("POST", telemetry, { options, payload: Buffer.alloc(1_024) });
    };
    for (const tag of ["a", "b", "c"]) upload(0, tag);
    await vi.waitFor(() => expect(peer.received).toHaveLength(3));
    upload(1, "a");
    upload(1, "c");
    await vi.waitFor(() => expect(peer.received.slice(3).map(({ code }) => code)).toEqual(["4.08", "2.31"]));
    await new Promise((resolve) => setTimeout(resolve, 250));
    upload(2, "c");
    await vi.waitFor(() => expect(peer.received.at(-1)?.code).toBe("4.08"));
  });
});
