import { Readable } from "node:stream";
import type { Client, PublishPacket, Subscription } from "aedes";
import type { QueuedDocument, SessionDocument } from "./documents.ts";
import type { RetainedMessages } from "./retained.ts";
import type { Sessions } from "./sessions.ts";
import type { Wills } from "./wills.ts";

/** A message on its way to a client that acknowledges it; `released` after PUBREC (MQTT 3.1.1, 4.3.3). */
interface OnItsWay {
  readonly brokerId: string;
  readonly brokerCounter: number;
  released: boolean;
}
type Id = { readonly id: string };
type Numbered = { readonly messageId?: number };
type Counted = { readonly brokerId?: string; readonly brokerCounter?: number };

export interface PersistenceOptions {
  readonly sessions: Sessions;
  readonly retained: RetainedMessages;
  readonly wills: Wills;
  applicationOf(client: Client): string;
  maySubscribe(client: Client, topic: string): boolean;
}

/**
 * What aedes asks of its store. Messages are queued and retained before they are acknowledged, so before aedes handles them:
 * its own requests to do so have nothing left to do. Which message has which number is known to the node of the connection.
 */
export class Persistence {
  readonly #options: PersistenceOptions;
  /** By client id and message id. */
  readonly #sent = new Map<string, Map<number, OnItsWay>>();
  readonly #received = new Map<string, Set<number>>();

  constructor(options: PersistenceOptions) {
    this.#options = options;
  }

  async setup(): Promise<void> {}

  async storeRetained(): Promise<void> {}

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#options.retained.matching(filters));
  }

  async addSubscriptions(client: Client, subs: readonly Subscription[]): Promise<void> {
    const { sessions, applicationOf, maySubscribe } = this.#options;
    const granted = subs.filter(({ topic }) => maySubscribe(client, topic));
    const filters = granted.map(({ topic, qos }) => ({ topic, qos })) as SessionDocument["filters"];
    await sessions.subscribe({ clientId: client.id, applicationId: applicationOf(client) }, filters);
  }

  async removeSubscriptions(client: Client, topics: readonly string[]): Promise<void> {
    const { sessions, applicationOf } = this.#options;
    await sessions.unsubscribe({ clientId: client.id, applicationId: applicationOf(client) }, topics);
  }

  async subscriptionsByClient({ id }: Id): Promise<SessionDocument["filters"]> {
    return this.#options.sessions.filtersOf(id);
  }

  async subscriptionsByTopic(): Promise<readonly never[]> {
    return [];
  }

  async cleanSubscriptions({ id }: Id): Promise<void> {
    this.#sent.delete(id);
    await this.#options.sessions.forget(id);
  }

  async outgoingEnqueue(): Promise<void> {}
  async outgoingEnqueueCombi(): Promise<void> {}

  /** A queued message gets its number, or has been received once and is only to be released. */
  async outgoingUpdate({ id }: Id, packet: Numbered & Counted): Promise<void> {
    const { messageId = 0, brokerId, brokerCounter } = packet;
    const sent = this.#sent.get(id) ?? new Map<number, OnItsWay>();
    this.#sent.set(id, sent);
    if (brokerId !== undefined && brokerCounter !== undefined) {
      sent.set(messageId, { brokerId, brokerCounter, released: false });
      return;
    }
    const known = sent.get(messageId);
    if (known !== undefined) known.released = true;
  }

  async outgoingClearMessageId({ id }: Id, { messageId = 0 }: Numbered): Promise<void> {
    const sent = this.#sent.get(id);
    const done = sent?.get(messageId);
    if (done === undefined) return;
    sent?.delete(messageId);
    await this.#options.sessions.done(id, done);
  }

  /** What a session has not acknowledged, under the numbers that its client knows. */
  outgoingStream({ id }: Id): Readable {
    return Readable.from(this.#outgoing(id));
  }

  async *#outgoing(clientId: string): AsyncGenerator<object> {
    const numbers = new Map<string, { readonly messageId: number; readonly released: boolean }>();
    for (const [messageId, { brokerId, brokerCounter, released }] of this.#sent.get(clientId) ?? [])
      numbers.set(`${brokerId}/${brokerCounter}`, { messageId, released });
    for await (const queued of this.#options.sessions.waiting(clientId)) {
      const known = numbers.get(`${queued.brokerId}/${queued.brokerCounter}`);
      yield known === undefined ? toSend(queued) : again(queued, known);
    }
  }

  async incomingStorePacket({ id }: Id, { messageId = 0 }: Numbered): Promise<void> {
    const received = this.#received.get(id) ?? new Set();
    this.#received.set(id, received.add(messageId));
  }

  async incomingGetPacket(client: Id, { messageId = 0 }: Numbered): Promise<Numbered> {
    if (!this.holds(client, messageId)) throw new Error("no such packet");
    return { messageId };
  }

  async incomingDelPacket({ id }: Id, { messageId = 0 }: Numbered): Promise<void> {
    if (this.#received.get(id)?.delete(messageId) !== true) throw new Error("no such packet");
  }

  async cleanIncoming({ id }: Id): Promise<void> {
    this.#received.delete(id);
  }

  /** A QoS 2 message of that number has been handled and not been released. */
  holds({ id }: Id, messageId: number): boolean {
    return this.#received.get(id)?.has(messageId) === true;
  }

  async putWill(client: Client, will: PublishPacket): Promise<void> {
    await this.#options.wills.keep({ clientId: client.id, applicationId: this.#options.applicationOf(client) }, will);
  }

  async delWill({ id }: Id): Promise<void> {
    await this.#options.wills.forget(id);
  }

  /** Wills of dead nodes are not aedes' business: it cannot know who is dead. */
  streamWill(): Readable {
    return Readable.from([]);
  }
}

function toSend({ topic, qos, payload, brokerId, brokerCounter }: QueuedDocument) {
  return { cmd: "publish", topic, qos, payload: Buffer.from(payload, "base64"), brokerId, brokerCounter };
}

function again(
  queued: QueuedDocument,
  { messageId, released }: { readonly messageId: number; readonly released: boolean },
): object {
  return released ? { cmd: "pubrel", messageId } : { ...toSend(queued), messageId, dup: true };
}
