import type { Socket } from "node:dgram";
import { generate, parse } from "coap-packet";
import { inTurn, machineMs, serve } from "./calls.ts";
import { coapSocket, confirmable, emptyAck, isEmpty, messageIdOf, pathOptions, typeOf } from "./coap-socket.ts";

const patienceMs = 10_000;

/** Observes its shared attributes and acknowledges each notification. */
class Observer {
  readonly #request: Buffer;
  #socket: Socket | undefined;
  #take: (payload: string) => void = () => {};

  constructor(index: number) {
    this.#request = generate({
      ...{ confirmable: true, code: "GET", messageId: 1, token: Buffer.from("ob") },
      options: [
        { name: "Observe", value: Buffer.alloc(0) },
        ...pathOptions(`api/v1/DW${String(index).padStart(8, "0")}/attributes`),
      ],
    });
  }

  async observe(port: number): Promise<void> {
    this.#socket = await coapSocket(port, (bytes) => this.#message(bytes));
    const first = this.hears(() => true);
    this.#socket.send(this.#request);
    await first;
  }

  /** When a notification came that fits, on the machine's clock. */
  hears(fits: (payload: string) => boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing heard in ${patienceMs} ms`)), patienceMs);
      this.#take = (payload) => {
        if (!fits(payload)) return;
        clearTimeout(timer);
        resolve(machineMs());
      };
    });
  }

  #message(bytes: Buffer): void {
    if (isEmpty(bytes)) return;
    if (typeOf(bytes) === confirmable) this.#socket?.send(emptyAck(messageIdOf(bytes)));
    const { code, payload } = parse(bytes);
    if (code !== "2.05") throw new Error(`an observer was told ${code}`);
    this.#take(payload.toString());
  }
}

let observers: Observer[] = [];
let heard: Promise<number[]> = Promise.resolve([]);

serve({
  observe: async ({ port, count }: { port: number; count: number }) => {
    observers = Array.from({ length: count }, (_, index) => new Observer(index));
    await inTurn({ count, atOnce: 50 }, async (index) => observers[index]?.observe(port));
  },
  expect: ({ text }: { text: string }) => {
    heard = Promise.all(observers.map((observer) => observer.hears((payload) => payload === text)));
    heard.catch(() => {}); // `heard` tells of it.
  },
  heard: () => heard,
});
