import { Fault } from "@heddle/plugin-sdk";
import { publish, type Version } from "./codec.ts";

export interface OutgoingLimits {
  readonly version: Version;
  /** The client's Receive Maximum; before version 5 nothing bounds it. */
  readonly receiveMaximum: number;
  /** The client's Maximum Packet Size. */
  readonly maximumPacketSize: number;
  /** How long a PUBACK may take, ms. */
  readonly ackMs: number;
}

/** Unacknowledged publishes of one device, and those that wait for its window. */
const mostUnacknowledged = 1000;
const mostWaiting = 100;

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
}

/** A QoS 1 publish until its PUBACK. */
interface Delivery {
  /** The packet without its id; undefined once written. */
  bytes: Buffer | undefined;
  readonly idAt: number;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** True: the caller waits for the PUBACK; false: for the write. */
  readonly confirmed: boolean;
  settle: ((fault?: unknown) => void) | undefined;
}

interface Wanted {
  readonly confirm: boolean;
  readonly now: number;
  readonly signal: AbortSignal | undefined;
}

/** What the server publishes to one device: packet ids, the client's window, confirmations. */
export class Outgoing {
  readonly #limits: OutgoingLimits;
  readonly #write: (bytes: Buffer) => void;
  #unacknowledged: Map<number, Delivery> | undefined;
  #waiting: Delivery[] | undefined;
  #lastId = 0;

  constructor(limits: OutgoingLimits, write: (bytes: Buffer) => void) {
    this.#limits = limits;
    this.#write = write;
  }

  /**
   * Resolves when written or, with `confirm`, when the device has acknowledged it. When the caller gives up, the packet
   * id stays in use until the PUBACK comes.
   * Faults: `mqtt.too-large`, `mqtt.window-full`, `mqtt.unconfirmed`, `mqtt.closed`.
   */
  send(message: Message, wanted: Wanted): Promise<void> {
    return new Promise((resolve, reject) => {
      wanted.signal?.throwIfAborted();
      const delivery = this.#deliveryOf(message, wanted);
      delivery.settle = (fault) => {
        delivery.settle = undefined;
        if (fault === undefined) resolve();
        else reject(fault);
      };
      this.#enqueue(delivery);
    });
  }

  /** For answers that nobody waits for; the same faults are thrown. */
  post(message: Message, now: number): void {
    this.#enqueue(this.#deliveryOf(message, { confirm: false, now, signal: undefined }));
  }

  /** PUBACK. True when somebody waited for it. */
  confirm(packetId: number): boolean {
    const delivery = this.#unacknowledged?.get(packetId);
    if (delivery === undefined) return false;
    this.#unacknowledged!.delete(packetId);
    const waited = delivery.confirmed;
    delivery.settle?.();
    while (this.#waiting !== undefined && this.#waiting.length > 0 && this.#open) {
      const next = this.#waiting.shift()!;
      if (next.bytes !== undefined) this.#transmit(next);
    }
    return waited;
  }

  /** Gives up what the device has not acknowledged in time. */
  tick(now: number): void {
    if (this.#unacknowledged === undefined) return;
    for (const delivery of this.#unacknowledged.values()) this.#expire(delivery, now);
    if (this.#waiting === undefined) return;
    for (const delivery of this.#waiting) if (this.#expire(delivery, now)) delivery.bytes = undefined;
    this.#waiting = this.#waiting.filter(({ bytes }) => bytes !== undefined);
  }

  close(): void {
    const left = [...(this.#unacknowledged?.values() ?? []), ...(this.#waiting ?? [])];
    this.#unacknowledged = undefined;
    this.#waiting = undefined;
    if (left.length === 0) return;
    const fault = new Fault("unavailable", "mqtt.closed", "the device's connection ended before it had the message");
    for (const delivery of left) delivery.settle?.(fault);
  }

  get #open(): boolean {
    return (this.#unacknowledged?.size ?? 0) < Math.min(this.#limits.receiveMaximum, mostUnacknowledged);
  }

  #deliveryOf(message: Message, { confirm, now, signal }: Wanted): Delivery {
    const { version, maximumPacketSize, ackMs } = this.#limits;
    const bytes = publish(version, { qos: message.qos, packetId: 0 }, message);
    if (bytes.length > maximumPacketSize) {
      throw new Fault(
        "invalid",
        "mqtt.too-large",
        `a publish of ${bytes.length} bytes on ${message.topic}: the device accepts ${maximumPacketSize}`,
      );
    }
    const behind = message.payload.length + (version === 5 ? 1 : 0);
    const idAt = message.qos === 0 ? 0 : bytes.length - behind - 2;
    return { bytes, idAt, deadline: now + ackMs, signal, confirmed: confirm, settle: undefined };
  }

  #enqueue(delivery: Delivery): void {
    if (delivery.idAt === 0) {
      this.#write(delivery.bytes!);
      delivery.settle?.();
    } else if (this.#open) {
      this.#transmit(delivery);
    } else if (this.#limits.version < 5) {
      // These versions have no window, and some devices never acknowledge (device-api 8.24): the oldest is forgotten.
      this.#forgetOldest();
      this.#transmit(delivery);
    } else this.#hold(delivery);
  }

  #hold(delivery: Delivery): void {
    this.#waiting ??= [];
    if (this.#waiting.length >= mostWaiting) {
      throw new Fault(
        "exhausted",
        "mqtt.window-full",
        `the device has not acknowledged ${this.#unacknowledged!.size} messages, and ${mostWaiting} wait: the limit`,
      );
    }
    this.#waiting.push(delivery);
  }

  #forgetOldest(): void {
    for (const [id, oldest] of this.#unacknowledged!) {
      this.#unacknowledged!.delete(id);
      oldest.settle?.(unconfirmed(this.#limits.ackMs));
      return;
    }
  }

  #transmit(delivery: Delivery): void {
    this.#unacknowledged ??= new Map();
    let id = this.#lastId;
    do id = id === 0xffff ? 1 : id + 1;
    while (this.#unacknowledged.has(id));
    this.#lastId = id;
    this.#unacknowledged.set(id, delivery);
    const bytes = delivery.bytes!;
    bytes.writeUInt16BE(id, delivery.idAt);
    delivery.bytes = undefined;
    this.#write(bytes);
    if (!delivery.confirmed) delivery.settle?.();
  }

  /** Looked at now and then: a listener per delivery would cost more, and nothing is lost by being late. */
  #expire(delivery: Delivery, now: number): boolean {
    const aborted = delivery.signal?.aborted === true;
    if (!aborted && now < delivery.deadline) return false;
    delivery.settle?.(aborted ? delivery.signal!.reason : unconfirmed(this.#limits.ackMs));
    return true;
  }
}

function unconfirmed(ms: number): Fault {
  return new Fault("unavailable", "mqtt.unconfirmed", `the device did not acknowledge within ${ms} ms`);
}
