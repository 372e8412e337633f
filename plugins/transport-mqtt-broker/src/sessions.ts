import { batchesOf, type CallOptions, type Collection, type EntityStore, type World } from "@heddle/plugin-sdk";
import { Qlobber } from "qlobber";
import {
  type QueuedDocument,
  queuedCollection,
  type SessionDocument,
  sessionCollection,
  sessionId,
} from "./documents.ts";
import type { Emitted } from "./emitter.ts";
import { Gathered } from "./gathered.ts";

export interface SessionLimits {
  /** Messages that wait for one session; more are dropped. */
  readonly queued: number;
  /** Sessions of one tenant. */
  readonly sessions: number;
  /** Subscriptions of one session. */
  readonly filters: number;
  /** A session whose client stays away for so long is forgotten. */
  readonly expireMs: number;
}

export interface SessionsOptions {
  readonly tenantId: string;
  readonly world: World;
  readonly entities: EntityStore;
  readonly limits: SessionLimits;
  readonly call: CallOptions;
  dropped(): void;
  /** Tells the other nodes what they have to read anew; resolves when those have that must. */
  changed(clientId: string): Promise<void>;
}

interface Known {
  readonly document: SessionDocument;
  readonly entries: readonly { readonly topic: string; readonly value: Subscriber }[];
  /** About: other nodes queue and deliver, too. */
  queued: number;
  /** Monotonic ms. */
  countedAt: number;
}
interface Subscriber {
  readonly clientId: string;
  readonly qos: 0 | 1 | 2;
}

const pageSize = 500;
/** A full queue is counted anew so often. */
const recountMs = 1_000;

/**
 * The persistent sessions of a tenant: what they subscribe to, known on every node that serves the tenant, and what waits
 * for them, in the store. Whichever node a message enters at queues it, for all of them, before it is acknowledged.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions: Collection<SessionDocument>;
  readonly #queued: Collection<QueuedDocument>;
  readonly #known = new Map<string, Known>();
  readonly #matcher = new Qlobber<Subscriber>({
    separator: "/",
    wildcard_one: "+",
    wildcard_some: "#",
    match_empty_levels: true,
  });
  readonly #puts: Gathered<QueuedDocument>;
  readonly #removals: Gathered<string>;
  #sequence = 0;

  constructor(options: SessionsOptions) {
    const { entities, call } = options;
    this.#options = options;
    this.#sessions = entities.collection(sessionCollection);
    this.#queued = entities.collection(queuedCollection);
    this.#puts = new Gathered((values) =>
      this.#queued.put(
        values.map((value) => ({ value, expect: "any" as const })),
        call,
      ),
    );
    this.#removals = new Gathered((ids) => this.#queued.remove(ids, call));
  }

  async load(): Promise<void> {
    const { tenantId, world, limits, call } = this.#options;
    const since = world.now() - limits.expireMs;
    for (let page = 0; ; page++) {
      const { items } = await this.#sessions.find(
        { where: { tenantId }, sort: { by: "id", order: "asc" }, page, limit: pageSize },
        call,
      );
      for (const { value } of items) {
        if (value.seenAt >= since) await this.#learn(value);
        else await this.#drop(value.id);
      }
      if (items.length < pageSize) return;
    }
  }

  /** Reads a session anew that another node has changed. */
  async reread(clientId: string): Promise<void> {
    const [found] = await this.#sessions.get([this.#id(clientId)], this.#options.call);
    if (found === undefined) this.#unlearn(clientId);
    else await this.#learn(found.value);
  }

  filtersOf(clientId: string): SessionDocument["filters"] {
    return this.#known.get(clientId)?.document.filters ?? [];
  }

  /** False when the session may not have so many, or there are too many sessions. */
  mayAdd(clientId: string, topics: readonly string[]): boolean {
    const { limits } = this.#options;
    const filters = this.filtersOf(clientId);
    if (filters.length === 0 && this.#known.size >= limits.sessions) return false;
    return new Set([...filters.map(({ topic }) => topic), ...topics]).size <= limits.filters;
  }

  async subscribe(
    client: { readonly clientId: string; readonly applicationId: string },
    added: SessionDocument["filters"],
  ): Promise<void> {
    const filters = new Map(this.filtersOf(client.clientId).map((filter) => [filter.topic, filter]));
    if (added.every(({ topic, qos }) => filters.get(topic)?.qos === qos)) return;
    for (const filter of added) filters.set(filter.topic, { topic: filter.topic, qos: filter.qos });
    await this.#save({ ...client, filters: [...filters.values()] });
  }

  async unsubscribe(
    client: { readonly clientId: string; readonly applicationId: string },
    topics: readonly string[],
  ): Promise<void> {
    const left = this.filtersOf(client.clientId).filter(({ topic }) => !topics.includes(topic));
    if (left.length === this.filtersOf(client.clientId).length) return;
    await this.#save({ ...client, filters: left });
  }

  /** Its client has come or gone. */
  async seen(clientId: string): Promise<void> {
    const known = this.#known.get(clientId);
    if (known === undefined) return;
    const { world, call } = this.#options;
    await this.#sessions.put([{ value: { ...known.document, seenAt: world.now() }, expect: "any" }], call);
  }

  /** A clean session begins: nothing of the one before is left (MQTT 3.1.1, 3.1.2.4). */
  async forget(clientId: string): Promise<void> {
    if (!this.#known.has(clientId)) return;
    this.#unlearn(clientId);
    await this.#drop(this.#id(clientId));
    await this.#options.changed(clientId);
  }

  async #drop(session: string): Promise<void> {
    const { call } = this.#options;
    await this.#sessions.remove([session], call);
    for await (const batch of batchesOf(this.#queued, { session }, call))
      await this.#queued.remove(
        batch.map(({ value }) => value.id),
        call,
      );
  }

  /** Queues a message for every session that wants it with an acknowledgement; resolves when it is durable. */
  async keep(packet: Emitted & { readonly brokerId: string; readonly brokerCounter: number }): Promise<void> {
    if (packet.qos === 0 || this.#known.size === 0) return;
    const wanted = new Map<string, number>();
    for (const { clientId, qos } of this.#matcher.match(packet.topic))
      if (qos > 0) wanted.set(clientId, Math.max(qos, wanted.get(clientId) ?? 0));
    if (wanted.size === 0) return;
    const payload = Buffer.from(packet.payload).toString("base64");
    const puts: Promise<void>[] = [];
    for (const [clientId, qos] of wanted) {
      const known = this.#known.get(clientId) as Known;
      const document = this.#documentOf(packet, payload, { clientId, qos: Math.min(qos, packet.qos) as 1 | 2 });
      puts.push(this.#put(known, document));
    }
    await Promise.all(puts);
  }

  async #put(known: Known, document: QueuedDocument): Promise<void> {
    const { limits, dropped, world, call } = this.#options;
    if (known.queued >= limits.queued && world.elapsed() - known.countedAt >= recountMs) {
      known.countedAt = world.elapsed();
      known.queued = (await this.#queued.find({ where: { session: document.session }, limit: 1 }, call)).total;
    }
    if (known.queued >= limits.queued) return dropped();
    known.queued++;
    await this.#puts.add(document);
  }

  /** What waits for a session, oldest first. */
  async *waiting(clientId: string): AsyncGenerator<QueuedDocument> {
    const session = this.#id(clientId);
    const sort = { by: "at", order: "asc" } as const;
    let after = "";
    for (;;) {
      const where = { session, at: { gte: after } };
      const { items } = await this.#queued.find({ where, sort, limit: pageSize }, this.#options.call);
      const fresh = items.filter(({ value }) => value.at !== after);
      for (const { value } of fresh) yield value;
      if (fresh.length === 0) return;
      after = (fresh.at(-1) as (typeof fresh)[number]).value.at;
    }
  }

  async done(clientId: string, of: { readonly brokerId: string; readonly brokerCounter: number }): Promise<void> {
    const known = this.#known.get(clientId);
    if (known !== undefined && known.queued > 0) known.queued--;
    await this.#removals.add(this.#messageId(clientId, of));
  }

  #documentOf(
    { brokerId, brokerCounter, topic }: Emitted & { readonly brokerId: string; readonly brokerCounter: number },
    payload: string,
    { clientId, qos }: { readonly clientId: string; readonly qos: 1 | 2 },
  ): QueuedDocument {
    const { tenantId, world } = this.#options;
    const at = `${String(world.now()).padStart(15, "0")}-${String(++this.#sequence).padStart(12, "0")}-${brokerId}`;
    const id = this.#messageId(clientId, { brokerId, brokerCounter });
    return { id, tenantId, session: this.#id(clientId), at, brokerId, brokerCounter, topic, qos, payload };
  }

  async #save(session: Pick<SessionDocument, "clientId" | "applicationId" | "filters">): Promise<void> {
    const { tenantId, world, call, changed } = this.#options;
    const { clientId } = session;
    const document = { ...session, id: this.#id(clientId), tenantId, seenAt: world.now() };
    await this.#sessions.put([{ value: document, expect: "any" }], call);
    await this.#learn(document);
    await changed(clientId);
  }

  async #learn(document: SessionDocument): Promise<void> {
    const { clientId, filters } = document;
    const known = this.#known.get(clientId);
    const queued =
      known?.queued ??
      (await this.#queued.find({ where: { session: document.id }, limit: 1 }, this.#options.call)).total;
    this.#unlearn(clientId);
    const entries = filters.map(({ topic, qos }) => ({ topic, value: { clientId, qos } }));
    for (const { topic, value } of entries) this.#matcher.add(topic, value);
    this.#known.set(clientId, { document, entries, queued, countedAt: this.#options.world.elapsed() });
  }

  #unlearn(clientId: string): void {
    for (const { topic, value } of this.#known.get(clientId)?.entries ?? []) this.#matcher.remove(topic, value);
    this.#known.delete(clientId);
  }

  #id(clientId: string): string {
    return sessionId(this.#options.tenantId, clientId);
  }

  #messageId(clientId: string, of: { readonly brokerId: string; readonly brokerCounter: number }): string {
    return `${this.#id(clientId)}/${of.brokerId}/${of.brokerCounter}`;
  }
}
