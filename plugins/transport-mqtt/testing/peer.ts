import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import mqttPacket, { type IConnectPacket, type Packet } from "mqtt-packet";

export type Level = 3 | 4 | 5;
export const levels = [3, 4, 5] as const;

/** A client that does what the test says and nothing else. Packets are kept in the order in which they came. */
export class Peer {
  readonly socket: Socket;
  readonly level: Level;
  readonly packets: (Packet & { readonly at: number })[] = [];
  readonly bytes: Buffer[] = [];
  closedAt: number | undefined;
  #changed: (() => void)[] = [];

  constructor(port: number, level: Level, tls?: ConnectionOptions) {
    this.level = level;
    this.socket =
      tls === undefined ? connect({ port, host: "127.0.0.1" }) : connectTls({ port, host: "127.0.0.1", ...tls });
    const parser = mqttPacket.parser({ protocolVersion: level });
    parser.on("packet", (packet) => {
      this.packets.push(Object.assign(packet, { at: performance.now() }));
    });
    // Codes like 0x86 are no legal DISCONNECT reasons: the bytes are kept for tests of those.
    parser.on("error", () => {});
    this.socket.on("data", (chunk: Buffer) => {
      this.bytes.push(chunk);
      parser.parse(chunk);
      this.#tell();
    });
    this.socket.on("error", () => {});
    const closed = () => {
      this.closedAt ??= performance.now();
      this.#tell();
    };
    this.socket.on("end", closed).on("close", closed);
  }

  encode(packet: object): Buffer {
    return mqttPacket.generate(packet as Packet, { protocolVersion: this.level });
  }

  send(...packets: object[]): void {
    this.socket.write(Buffer.concat(packets.map((packet) => this.encode(packet))));
  }

  connect(options: Partial<IConnectPacket> = {}): void {
    this.send(connectPacket(this.level, options));
  }

  publish(topic: string, payload: string | Buffer, more: object = {}): void {
    this.send(publishPacket(topic, payload, more));
  }

  async until(wanted: (peer: Peer) => boolean, what: string, ms = 5000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!wanted(this)) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no ${what} within ${ms} ms; got ${JSON.stringify(this.packets.slice(-5))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 50));
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** The next packet of this kind that no call has returned before. */
  async next<C extends Packet["cmd"]>(
    cmd: C,
    ms = 5000,
  ): Promise<Extract<Packet, { cmd: C }> & { at: number; reasonCode?: number }> {
    await this.until(() => this.packets.some((packet) => packet.cmd === cmd), cmd, ms);
    const [found] = this.packets.splice(
      this.packets.findIndex((packet) => packet.cmd === cmd),
      1,
    );
    return found as never;
  }

  async closed(ms = 3000): Promise<number> {
    await this.until(() => this.closedAt !== undefined, "close", ms);
    return this.closedAt!;
  }

  /** True when it still answers. */
  async stays(): Promise<boolean> {
    this.send({ cmd: "pingreq" });
    await this.next("pingresp");
    return this.closedAt === undefined;
  }

  get hex(): string {
    return Buffer.concat(this.bytes).toString("hex");
  }

  destroy(): void {
    this.socket.destroy();
  }

  #tell(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resume of waiting) resume();
  }
}

export function connectPacket(level: Level, options: Partial<IConnectPacket> = {}): object {
  const protocolId = level === 3 ? "MQIsdp" : "MQTT";
  const clientId = level === 3 ? "c" : "";
  return { cmd: "connect", protocolId, protocolVersion: level, clean: true, clientId, keepalive: 0, ...options };
}

/** QoS 1 with id 1 unless told otherwise. */
export function publishPacket(topic: string, payload: string | Buffer, more: object = {}): object {
  return { cmd: "publish", topic, payload, qos: 1, messageId: 1, dup: false, retain: false, ...more };
}
