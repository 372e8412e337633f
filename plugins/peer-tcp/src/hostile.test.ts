import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterEach, describe, expect, it } from "vitest";
import { framed, RawPeer, rawListener, tick } from "../testing/raw.ts";
import { authority, loopback, makeLink, opensslPath, secret } from "../testing/room.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listening(given: Readonly<Record<string, unknown>> = {}, admit = (_name: string) => true) {
  const made = makeLink({ ...loopback, heartbeat: 50, connectTimeout: 300, ...given });
  open.push(() => made.link[Symbol.asyncDispose]());
  const frames: [string, string][] = [];
  const keep = (from: string, frame: Uint8Array) => void frames.push([from, Buffer.from(frame).toString()]);
  const address = await made.link.listen(keep, { id: "node", admit });
  const refusals = () =>
    made.lines.filter(({ message }) => message === "connection refused").map(({ fields }) => fields);
  return { ...made, frames, address, refusals };
}

async function raw(address: string): Promise<RawPeer> {
  const peer = await RawPeer.to(address);
  open.push(() => peer.socket.destroy());
  return peer;
}

const send = (link: { send: Function }, address: string, text = "x", ms = 5_000): Promise<void> =>
  link.send(address, Buffer.from(text), { signal: AbortSignal.timeout(ms) });

const closing = (socket: Socket) =>
  new Promise<void>(
    (resolve) =>
      void socket
        .on("error", () => {})
        .once("close", () => resolve())
        .resume(),
  );

describe("a stranger", () => {
  it("without the secret is refused, with a line that says so and holds no secret", async () => {
    const node = await listening();
    const peer = await raw(node.address);
    const { code } = await peer.greet("mallory", "a guess that is not right");
    peer.frame("let me in");
    await peer.closed();
    expect(code).toBe(1);
    expect(node.frames).toEqual([]);
    expect(node.refusals()[0]).toMatchObject({ why: "proof", remote: "127.0.0.1" });
    expect(JSON.stringify(node.lines)).not.toContain(secret);
    expect(node.figures.get("refused proof")).toBe(1);
  });

  it("with another secret gets peer.unreachable, and learns nothing to guess with before he has proved himself", async () => {
    const node = await listening();
    const other = await listening({ secret: "the secret of another cluster" });
    await expect(send(other.link, node.address)).rejects.toMatchObject({
      code: "peer.unreachable",
      message: expect.stringContaining("another secret"),
    });
    const peer = await raw(node.address);
    peer.socket.write(Buffer.concat([Buffer.from("HDPL\x01"), Buffer.alloc(32), Buffer.from("\x01m")]));
    await peer.closed();
    expect(peer.received.length).toBe(37);
  });

  it("who listens in a member's place without the secret gets no frame", async () => {
    const node = await listening();
    const server = await rawListener("not the secret of this cluster", () => {});
    open.push(() => server.close());
    await expect(send(node.link, server.where)).rejects.toMatchObject({
      code: "peer.unreachable",
      message: expect.stringContaining("does not know the secret"),
    });
  });

  it("cannot use a recorded handshake", async () => {
    const node = await listening();
    const member = await raw(node.address);
    const nonce = Buffer.alloc(32, 7);
    const { hello, proof, code } = await member.greet("a", secret, nonce);
    expect(code).toBe(0);
    const replayed = await raw(node.address);
    replayed.socket.write(Buffer.concat([hello, proof, framed("replayed")]));
    await replayed.take(37);
    expect((await replayed.take(33))[0]).toBe(1);
    await replayed.closed();
    member.frame("real");
    await expect.poll(() => node.frames).toEqual([["a", "real"]]);
  });

  it("who knows the secret and is no member is refused, and the answer is proved", async () => {
    const node = await listening({}, (name) => name === "a");
    const peer = await raw(node.address);
    expect((await peer.greet("b", secret)).code).toBe(2);
    await peer.closed();
    expect(node.refusals()).toMatchObject([{ why: "member", message: '"b" is not a member of the cluster' }]);
  });

  it("with garbage, another protocol or version ends soon", async () => {
    const node = await listening();
    for (const bytes of [
      Buffer.alloc(200_000, 0x5a),
      Buffer.from("GET / HTTP/1.1\r\nHost: heddle\r\nAccept: */*\r\n\r\n"),
    ]) {
      const peer = await raw(node.address);
      peer.socket.write(bytes);
      await peer.closed();
      expect(peer.received.length).toBe(0);
    }
    const newer = await raw(node.address);
    newer.socket.write(Buffer.concat([Buffer.from("HDPL\x02"), Buffer.alloc(32)]));
    expect((await newer.take(37)).subarray(0, 5).toString()).toBe("HDPL\x01");
    await newer.closed();
    expect(node.refusals().map(({ why }) => why)).toEqual(["magic", "version"]);
    expect(node.refusals()[1]?.["message"]).toContain("version 2");
    expect(node.figures.get("refused magic")).toBe(2);
  });

  it("who says nothing ends at the time-out, half-way too", async () => {
    const node = await listening();
    const [silent, half] = [await raw(node.address), await raw(node.address)];
    half.socket.write("HDPL\x01");
    const started = performance.now();
    await Promise.all([silent.closed(), half.closed()]);
    expect(performance.now() - started).toBeGreaterThan(200);
    expect(node.figures.get("refused timeout")).toBe(2);
  });

  it("cannot crowd members out: the oldest that has proved nothing makes room", async () => {
    const node = await listening({ handshakes: 8, connectTimeout: 20_000 });
    const crowd = await Promise.all(Array.from({ length: 30 }, () => raw(node.address)));
    const member = await raw(node.address);
    expect((await member.greet("a", secret)).code).toBe(0);
    member.frame("in");
    await expect.poll(() => node.frames).toEqual([["a", "in"]]);
    await expect.poll(() => crowd.filter(({ ended }) => !ended).length).toBeLessThanOrEqual(8);
    expect(node.refusals()).toHaveLength(1);
  });
});

describe("a proven peer", () => {
  it("may send a byte at a time", async () => {
    const node = await listening({ heartbeat: 1_000 });
    const peer = await raw(node.address);
    await peer.greet("a", secret);
    const bytes = Buffer.concat(["one", "", "two", "x".repeat(40)].map(framed));
    for (const byte of bytes) {
      peer.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => node.frames.map(([, text]) => text)).toEqual(["one", "", "two", "x".repeat(40)]);
  });

  it("who announces a frame over the limit is cut off, before it is read", async () => {
    const node = await listening({ frameBytes: 1_000 });
    const peer = await raw(node.address);
    await peer.greet("a", secret);
    peer.socket.write(Buffer.concat([framed("fine"), Buffer.from([0, 0, 3, 0xe9])]));
    await peer.closed();
    expect(node.frames).toEqual([["a", "fine"]]);
    expect(node.lines.filter(({ fields }) => fields["limit"] === 1_000)).toMatchObject([
      { message: expect.stringContaining("over the limit"), fields: { from: "a", bytes: 1_001 } },
    ]);
  });

  it("who falls silent is closed after five heartbeats, who beats is not", async () => {
    const node = await listening();
    const [silent, alive] = [await raw(node.address), await raw(node.address)];
    await silent.greet("silent", secret);
    await alive.greet("alive", secret);
    const beats = setInterval(() => alive.socket.write(Buffer.alloc(4, 0xff)), 50);
    open.push(() => clearInterval(beats));
    await silent.closed(1_000);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(alive.ended).toBe(false);
    expect(alive.received.length).toBeGreaterThanOrEqual(4 * 5);
    expect(alive.received.every((byte) => byte === 0xff)).toBe(true);
  });

  it("who is no longer a member is closed within a heartbeat", async () => {
    let member = true;
    const node = await listening({}, () => member);
    const peer = await raw(node.address);
    await peer.greet("a", secret);
    member = false;
    await peer.closed(500);
  });

  it("who connects again takes over, and no frame overtakes one of before", async () => {
    const { link } = makeLink({ ...loopback, heartbeat: 1_000 });
    open.push(() => link[Symbol.asyncDispose]());
    const texts: string[] = [];
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const address = await link.listen(
      async (_from, frame) => {
        if (texts.length === 0) await gate;
        texts.push(Buffer.from(frame).toString());
      },
      { id: "node", admit: () => true },
    );
    const peers: RawPeer[] = [];
    for (const text of ["first", "second", "third"]) {
      const peer = await raw(address);
      await peer.greet("a", secret);
      peer.frame(`${text} 1`);
      peer.frame(`${text} 2`);
      peers.push(peer);
      await tick();
    }
    await peers[0]?.closed();
    await peers[1]?.closed();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(texts).toEqual([]);
    go();
    await expect.poll(() => texts).toEqual(["first 1", "first 2", "third 1", "third 2"]);
  });
});

describe("a peer that is frozen", () => {
  it("makes sends wait, costs no more than the bound, and is given up after five heartbeats", async () => {
    const node = await listening({ pendingBytes: 100_000, waitingBytes: 200_000, heartbeat: 100, connectTimeout: 200 });
    const stalled: RawPeer[] = [];
    const server = await rawListener(secret, (peer) => {
      peer.socket.pause();
      stalled.push(peer);
    });
    open.push(
      () => server.close(),
      () => stalled.forEach(({ socket }) => void socket.destroy()),
    );
    const outcomes: Promise<string>[] = [];
    const codes = () => Promise.all(outcomes);
    for (let i = 0; i < 400; i += 1) {
      const sent = node.link.send(server.where, new Uint8Array(50_000), { signal: AbortSignal.timeout(350) });
      outcomes.push(
        sent.then(
          () => "taken",
          (error) => (error instanceof DOMException ? error.name : error.code),
        ),
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => node.figures.get("waiting")).toBeGreaterThan(0);
    expect(node.figures.get("queued")).toBeLessThanOrEqual(100_000 + 50_004);
    const all = await codes();
    expect(all.filter((code) => code === "peer.overloaded").length).toBeGreaterThan(10);
    expect(all.filter((code) => code === "TimeoutError").length).toBeGreaterThan(0);
    await expect
      .poll(() => node.lines.map(({ message }) => message), { timeout: 3_000 })
      .toContain("peer is silent, connection given up");
    await expect.poll(() => node.figures.get("connections out"), { timeout: 2_000 }).toBe(0);
  });

  it("does not hold up dispose for longer than a second", async () => {
    const node = await listening({ pendingBytes: 50_000_000, heartbeat: 5_000 });
    const server = await rawListener(secret, (peer) => void peer.socket.pause());
    open.push(() => server.close());
    for (let i = 0; i < 30; i += 1)
      await node.link.send(server.where, new Uint8Array(1_000_000), { signal: AbortSignal.timeout(2_000) });
    const started = performance.now();
    await node.link[Symbol.asyncDispose]();
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});

describe("a listener that breaks every connection", () => {
  it("is dialled with growing pauses", async () => {
    const node = await listening();
    let dials = 0;
    const server = await rawListener(secret, (peer) => {
      dials += 1;
      peer.socket.destroy();
    });
    open.push(() => server.close());
    for (const end = performance.now() + 1_000; performance.now() < end; await tick()) {
      await send(node.link, server.where).catch(() => {});
    }
    expect(dials).toBeGreaterThanOrEqual(2);
    expect(dials).toBeLessThanOrEqual(9);
  });
});

describeNeeding("openssl", opensslPath, (openssl) => {
  it("refuses who has no certificate, one of another CA, or no TLS at all, in both directions", async () => {
    const folder = await mkdtemp(join(tmpdir(), "peer-tls-"));
    open.push(() => rm(folder, { recursive: true }));
    const [ours, theirs] = [await authority(openssl, folder, "ours"), await authority(openssl, folder, "theirs")];
    const node = await listening({ tls: await ours("node"), secret: undefined });
    const friend = await listening({ tls: await ours("friend"), secret: undefined });
    const foreign = await theirs("stranger");
    const stranger = await listening({ tls: foreign, secret: undefined });
    await send(friend.link, node.address, "hello");
    await expect.poll(() => node.frames.length).toBe(1);
    for (const [from, to] of [
      [stranger, node],
      [node, stranger],
    ] as const) {
      await expect(send(from.link, to.address)).rejects.toMatchObject({ code: "peer.unreachable" });
    }
    const plain = await listening();
    await expect(send(plain.link, node.address)).rejects.toMatchObject({ code: "peer.unreachable" });
    const [host, port] = node.address.split(":");
    const bare = connectTls({ host, port: Number(port), rejectUnauthorized: false });
    await closing(bare);
    const silent = connect({ host: host as string, port: Number(port) });
    await closing(silent);
    expect(node.frames.length).toBe(1);
    expect(node.refusals().map(({ why }) => why)).toContain("tls");
  });
});
