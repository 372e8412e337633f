import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { parseAddress } from "../src/address.ts";

/** A peer that speaks the protocol by hand; written from the description of the wire, not with the code under test. */
export class RawPeer {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.ended = true;
    });
  }

  static async to(address: string): Promise<RawPeer> {
    const endpoint = parseAddress(address);
    const socket = connect("path" in endpoint ? endpoint : { ...endpoint, noDelay: true });
    const peer = new RawPeer(socket);
    await once(socket, "connect");
    return peer;
  }

  get received(): Buffer {
    return this.#bytes;
  }

  async take(count: number): Promise<Buffer> {
    for (const end = performance.now() + 3_000; this.#bytes.length < count; await tick()) {
      if (this.ended) throw new Error(`closed after ${this.#bytes.length} of ${count} bytes`);
      if (performance.now() > end) throw new Error(`only ${this.#bytes.length} of ${count} bytes`);
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  async closed(ms = 3_000): Promise<void> {
    for (const end = performance.now() + ms; !this.ended; await tick()) {
      if (performance.now() > end) throw new Error(`still open after ${ms} ms`);
    }
  }

  /** The dialer's part; returns what it wrote and the code of the verdict. */
  async greet(name: string, key: string, nonce = randomBytes(32)) {
    const hello = Buffer.concat([Buffer.from("HDPL\x01"), nonce, Buffer.of(name.length), Buffer.from(name)]);
    this.socket.write(hello);
    const challenge = await this.take(37);
    const proof = mac(key, "dialer", hello, challenge);
    this.socket.write(proof);
    const verdict = await this.take(33);
    return { hello, challenge, proof, code: verdict[0], mac: verdict.subarray(1) };
  }

  frame(text: string | Buffer): void {
    this.socket.write(framed(text));
  }
}

/** A listener that proves itself and then does what the test says. */
export async function rawListener(key: string, then: (peer: RawPeer) => void): Promise<Server & { where: string }> {
  const server = createServer((socket) => {
    const peer = new RawPeer(socket);
    void answer(peer, key).then(
      () => then(peer),
      () => socket.destroy(),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(server, { where: `127.0.0.1:${(server.address() as { port: number }).port}` });
}

async function answer(peer: RawPeer, key: string): Promise<void> {
  const head = await peer.take(38);
  const hello = Buffer.concat([head, await peer.take(head[37] as number)]);
  const challenge = Buffer.concat([Buffer.from("HDPL\x01"), randomBytes(32)]);
  peer.socket.write(challenge);
  const proof = await peer.take(32);
  const code = Buffer.of(0);
  peer.socket.write(Buffer.concat([code, mac(key, "listener", hello, challenge, proof, code)]));
}

export function mac(key: string, role: string, ...said: Buffer[]): Buffer {
  return createHmac("sha256", key)
    .update(Buffer.concat([Buffer.from(role), ...said]))
    .digest();
}

export function framed(text: string | Buffer): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

export const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 2));
