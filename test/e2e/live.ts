import WebSocket from "ws";

/** A WebSocket client that waits for values. */
export class Live implements Disposable {
  readonly #socket: WebSocket;
  readonly #frames: any[] = [];
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)));
      this.#wake();
    });
  }

  /** Subscribed to the latest values of a device; resolves with the first answer taken. */
  static async watch(base: string, token: string, entityId: string): Promise<Live> {
    const socket = new WebSocket(`${base.replace(/^http/, "ws")}/api/ws`);
    const live = new Live(socket);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const cmd = { type: "TIMESERIES", cmdId: 1, entityType: "DEVICE", entityId, scope: "LATEST_TELEMETRY" };
    socket.send(JSON.stringify({ authCmd: { cmdId: 0, token }, cmds: [cmd] }));
    await live.next(() => true, 5_000);
    return live;
  }

  /** The next frame that fits, within `ms`. */
  async next(fits: (frame: any) => boolean, ms: number): Promise<any> {
    const end = performance.now() + ms;
    for (;;) {
      const found = this.#frames.findIndex(fits);
      if (found >= 0) return this.#frames.splice(found, 1)[0];
      const left = end - performance.now();
      if (left <= 0)
        throw new Error(`no such frame within ${ms} ms; seen: ${JSON.stringify(this.#frames).slice(0, 500)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}
