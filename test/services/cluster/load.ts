import { setTimeout as pause } from "node:timers/promises";
import coap from "coap";
import mqtt, { type MqttClient } from "mqtt";
import type { Server } from "../../e2e/server.ts";

/** Numbers become timestamps from here on, so that each is a point of its own. */
export const firstTs = 1_700_000_000_000;
const paceMs = 25;
const patienceMs = 15_000;

export type Protocol = "mqtt" | "http" | "coap";

/** A device that sends 0, 1, 2 … one after the other, each until some node acknowledges it. */
export class NumberedDevice {
  readonly name: string;
  readonly protocol: Protocol;
  readonly acknowledged: number[] = [];
  /** Sent, whether or not it was acknowledged. */
  attempts = 0;
  readonly #nodes: () => readonly Server[];
  #preferred: number;
  #mqtt: { readonly client: MqttClient; readonly node: Server } | undefined;
  #next = 0;

  constructor(
    name: string,
    protocol: Protocol,
    at: { readonly nodes: () => readonly Server[]; readonly prefers: number },
  ) {
    this.name = name;
    this.protocol = protocol;
    this.#nodes = at.nodes;
    this.#preferred = at.prefers;
  }

  /** Until the signal aborts; the number under way then is finished or given up. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nodes = this.#nodes();
      const node = nodes[this.#preferred % Math.max(1, nodes.length)];
      try {
        if (node === undefined) throw new Error("no node");
        this.attempts++;
        await this.#send(node, `{"ts":${firstTs + this.#next},"values":{"n":${this.#next}}}`);
        this.acknowledged.push(this.#next++);
        await pause(paceMs);
      } catch {
        // A node that does not answer is what this is about: the number goes to the next one.
        this.#preferred++;
        await this.#close();
        await pause(100);
      }
    }
    await this.#close();
  }

  #send(node: Server, body: string): Promise<unknown> {
    switch (this.protocol) {
      case "mqtt":
        return this.#publish(node, body);
      case "http":
        return this.#post(node, body);
      case "coap":
        return this.#confirm(node, body);
    }
  }

  async #publish(node: Server, body: string): Promise<void> {
    if (this.#mqtt?.node !== node || !this.#mqtt.client.connected) {
      await this.#close();
      const options = { username: this.name, reconnectPeriod: 0, connectTimeout: patienceMs };
      // Without retries, so that a connection that closes before its CONNACK settles the promise, too.
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${node.port("MQTT")}`, options, false);
      client.on("error", () => client.end(true));
      this.#mqtt = { client, node };
    }
    const { client } = this.#mqtt;
    // What was published on a connection that ends is never settled by the client.
    let closed = () => {};
    const work = client.publishAsync("v1/devices/me/telemetry", body, { qos: 1 });
    try {
      await within(work, (fail) => {
        closed = () => fail(new Error("the connection has ended"));
        client.once("close", closed);
      });
    } finally {
      client.off("close", closed);
    }
  }

  async #post(node: Server, body: string): Promise<void> {
    const url = `${node.http}/api/v1/${this.name}/telemetry`;
    const { status } = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(patienceMs) });
    if (status !== 200) throw new Error(`status ${status}`);
  }

  #confirm(node: Server, body: string): Promise<void> {
    const request = coap.request({
      host: "127.0.0.1",
      port: node.port("CoAP"),
      method: "POST",
      pathname: `/api/v1/${this.name}/telemetry`,
      confirmable: true,
    });
    const answered = new Promise<void>((resolve, reject) => {
      request.on("response", (response) => {
        if (response.code.startsWith("2.")) resolve();
        else reject(new Error(response.code));
      });
      request.on("error", reject);
    });
    request.end(body);
    return within(answered, () => {});
  }

  async #close(): Promise<void> {
    const { client } = this.#mqtt ?? {};
    this.#mqtt = undefined;
    client?.end(true);
  }
}

async function within<T>(work: Promise<T>, watch: (fail: (reason: Error) => void) => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no acknowledgement within ${patienceMs} ms`)), patienceMs);
    watch(reject);
  });
  try {
    return await Promise.race([work, failed]);
  } finally {
    clearTimeout(timer);
  }
}
