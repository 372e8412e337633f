import type { ISubscribePacket, IUnsubscribePacket } from "mqtt-packet";
import type { Frame, PublishHead } from "./frame.ts";

/** What an open connection talks to: a device's session, or the provisioning of one. */
export interface Talk {
  /** Whom it is about, for the log. */
  readonly about: string | undefined;
  /** Messages that wait for their acknowledgement. */
  readonly inFlight: number;
  publish(bytes: Buffer, frame: Frame, head: PublishHead): void;
  /** PUBREL. */
  release(packetId: number): void;
  /** PUBACK. */
  confirm(packetId: number): void;
  subscribe(packet: ISubscribePacket): void;
  unsubscribe(packet: IUnsubscribePacket): void;
  /** PINGREQ. */
  ping(): void;
  /** Looks at the deadlines; `now` is monotonic ms. */
  tick(now: number): void;
  /** The connection has ended. */
  close(): void;
}
