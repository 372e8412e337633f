import { Peer } from "../../plugins/transport-mqtt/testing/peer.ts";
import type { Level } from "./row.ts";
import { patience, type Target } from "./target.ts";

/** A connected device; disposing drops its socket. */
export class MqttDevice extends Peer implements Disposable {
  static async connect(
    target: Target,
    options: { level?: Level; username?: string; clientId?: string; [more: string]: unknown },
  ) {
    const { level = 4, ...connect } = options;
    const peer = new MqttDevice(target.mqtt, level);
    peer.connect(connect);
    const { returnCode, reasonCode } = (await peer.next("connack")) as { returnCode?: number; reasonCode?: number };
    if ((returnCode ?? reasonCode ?? 0) !== 0) throw new Error(`refused: ${returnCode ?? reasonCode}`);
    return peer;
  }

  override next: Peer["next"] = (cmd, ms = patience) => super.next(cmd, ms);

  /** QoS 1; resolves with the reason code of the PUBACK, 0 on 3.1.1. */
  async say(topic: string, payload: string | Buffer, more: { messageId?: number } = {}): Promise<number> {
    this.publish(topic, payload, more);
    return (await this.next("puback")).reasonCode ?? 0;
  }

  /** Resolves with the granted codes. */
  async subscribe(...topics: string[]): Promise<number[]> {
    this.send({ cmd: "subscribe", messageId: 9, subscriptions: topics.map((topic) => ({ topic, qos: 1 })) });
    return (await this.next("suback")).granted as number[];
  }

  /** The next publish of the server, acknowledged. */
  async hear(ms = patience): Promise<{ topic: string; text: string; payload: Buffer; qos: number }> {
    const { topic, payload, qos, messageId } = await this.next("publish", ms);
    if (qos > 0) this.send({ cmd: "puback", messageId, reasonCode: 0 });
    return { topic, payload: payload as Buffer, text: String(payload), qos };
  }

  /** Closed without an acknowledgement of what was said last. */
  async closedUnanswered(): Promise<void> {
    await this.closed();
    if (this.packets.some(({ cmd }) => cmd === "puback")) throw new Error("acknowledged before it was closed");
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
