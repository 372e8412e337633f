/** MQTT 3.1.1 as a lean device speaks it. */
export const types = { connack: 2, publish: 3, suback: 9 } as const;

const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};
const id16 = (id: number) => Buffer.from([id >> 8, id & 255]);

function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let left = body.length; length.length === 0 || left > 0; left >>= 7) {
    length.push((left & 127) | (left > 127 ? 128 : 0));
  }
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

/** Without a keep-alive: an idle device says nothing. */
export const connectPacket = (token: string): Buffer =>
  packet(0x10, text("MQTT"), Buffer.from([4, 0x82, 0, 0]), text(token), text(token));
export const subscribePacket = (topic: string, qos: 0 | 1): Buffer =>
  packet(0x82, id16(1), text(topic), Buffer.from([qos]));
export const publishPacket = (topic: string, payload: string, id: number): Buffer =>
  packet(0x32, text(topic), id16(id), Buffer.from(payload));
export const pubackPacket = (id: number): Buffer => packet(0x40, id16(id));

/** `body`: what follows the length; gone after the call. */
export type TakePacket = (first: number, body: Buffer) => void;

/** Cuts a stream into packets. */
export class Packets {
  readonly #take: TakePacket;
  #rest: Buffer | undefined;

  constructor(take: TakePacket) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      let end = at + 1;
      let length = 0;
      while (end < bytes.length) {
        const byte = bytes[end] as number;
        length |= (byte & 127) << (7 * (end - at - 1));
        end++;
        if (byte < 128) break;
        if (end === bytes.length) length = Number.POSITIVE_INFINITY;
      }
      if (end === at + 1 || end + length > bytes.length) break;
      this.#take(bytes[at] as number, bytes.subarray(end, end + length));
      at = end + length;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
  }
}
