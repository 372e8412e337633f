import {
  type ActorKind,
  type Actors,
  type CallOptions,
  type Cluster,
  entityKey,
  type Feed,
  type FeedInterest,
  type Feeds,
  type FeedUpdate,
  type Log,
  type World,
} from "@heddle/plugin-sdk";
import { type FeedVerbs, feedKind, type HubVerbs } from "./feed-actor.ts";
import { select, type Wanted, wantedOf } from "./interest.ts";

const retryMs = 1_000;
/** Subscriptions are told again so often: an owner that forgot them by a move nobody saw learns them back. */
const renewMs = 30_000;
const expireMs = 3 * renewMs;

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly cluster: Cluster;
}

interface OpenFeed {
  readonly id: string;
  readonly key: string;
  readonly wanted: Wanted;
  readonly on: { deliver(update: FeedUpdate): void; resync(): void };
  readonly end: AbortController;
  /** Who was told last. */
  owner: string | undefined;
  /** The owner is being told, or has to be told once more. */
  telling: boolean;
  again: boolean;
  /** Updates may have been lost. */
  missed: boolean;
}

/** Subscriptions of this node, and the way to the subscribers of any entity. */
export class LiveFeeds implements Feeds {
  readonly kinds: readonly ActorKind<any>[];
  readonly #deps: Deps;
  readonly #feed: ActorKind<FeedVerbs>;
  readonly #hub: ActorKind<HubVerbs>;
  readonly #open = new Map<string, OpenFeed>();
  /** Keys of entities that this node owns and somebody watches: saving anything else costs nothing. */
  readonly #watchedHere = new Set<string>();
  /** The only member owns everything: nobody elsewhere can be watching. */
  #alone = false;
  /** Ids of a former life of this node, which owners may still know, name nothing in this one. */
  readonly #life: string;
  #lastId = 0;
  #renewal: Disposable | undefined;
  #watch: Disposable | undefined;

  constructor(deps: Deps, delivered: (updates: number) => void) {
    this.#deps = deps;
    this.#life = deps.world.uuid();
    this.#hub = {
      kind: "feed-hub",
      placement: "node",
      mailbox: 65_536,
      activate: () => ({
        deliver: ({ feeds, update }) => {
          delivered(feeds.length);
          for (const id of feeds) this.#deliver(id, update);
        },
      }),
    };
    this.#feed = feedKind({
      world: deps.world,
      expireMs,
      cluster: deps.cluster,
      hub: (node) => deps.actors.at(node, this.#hub, "feeds"),
      onOpen: (key) => this.#watchedHere.add(key),
      onClose: (key) => this.#watchedHere.delete(key),
    });
    this.kinds = [this.#feed, this.#hub];
  }

  async start(): Promise<void> {
    this.#watch = this.#deps.cluster.onChange(({ gained, members }) => {
      this.#alone = members.length === 1;
      this.#followOwners(new Set(gained));
    });
    this.#renewLater();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#renewal?.[Symbol.dispose]();
    for (const feed of this.#open.values()) feed.end.abort();
    this.#open.clear();
  }

  subscribe(interest: FeedInterest, on: OpenFeed["on"], call: CallOptions): Feed {
    const id = `${this.#life}/${++this.#lastId}`;
    const key = entityKey(interest.tenantId, interest.entity);
    const feed: OpenFeed = {
      id,
      key,
      wanted: wantedOf(interest),
      on,
      end: new AbortController(),
      owner: undefined,
      telling: false,
      again: false,
      missed: false,
    };
    this.#open.set(id, feed);
    const live = this.#announce(feed, AbortSignal.any([call.signal, feed.end.signal]));
    return {
      live: live.then(() => undefined),
      [Symbol.asyncDispose]: async () => {
        if (!this.#open.delete(id)) return;
        feed.end.abort();
        this.#deps.actors.ref(this.#feed, key).tell("unsubscribe", { node: this.#deps.cluster.self, feed: id });
      },
    };
  }

  /** Tells whoever watches the entity. */
  tell(tenantId: string, update: FeedUpdate): void {
    const { cluster, actors } = this.#deps;
    const key = entityKey(tenantId, update.entity);
    if (cluster.ownerOf(key) === cluster.self && !this.#watchedHere.has(key)) return;
    actors.ref(this.#feed, key).tell("update", update);
  }

  /** False when nobody can be watching, so that the update need not even be made. */
  mayBeWatched(tenantId: string, entity: FeedUpdate["entity"]): boolean {
    if (this.#alone && this.#watchedHere.size === 0) return false;
    const { cluster } = this.#deps;
    const key = entityKey(tenantId, entity);
    return this.#watchedHere.has(key) || (!this.#alone && cluster.ownerOf(key) !== cluster.self);
  }

  /** Whether the owner knew the subscription before. */
  async #announce(feed: OpenFeed, signal: AbortSignal): Promise<boolean> {
    const { actors, cluster } = this.#deps;
    feed.owner = cluster.ownerOf(feed.key);
    const subscription = { node: cluster.self, feed: feed.id, wanted: feed.wanted };
    return await actors.ref(this.#feed, feed.key).ask("subscribe", subscription, { signal });
  }

  #deliver(id: string, update: FeedUpdate): void {
    const feed = this.#open.get(id);
    const wanted = feed === undefined ? undefined : select(feed.wanted, update);
    if (wanted !== undefined) feed?.on.deliver(wanted);
  }

  #followOwners(gained: ReadonlySet<number>): void {
    const { cluster } = this.#deps;
    for (const feed of this.#open.values()) {
      const moved = cluster.ownerOf(feed.key) !== feed.owner || gained.has(cluster.partitionOf(feed.key));
      if (moved) void this.#again(feed, true);
    }
  }

  /** One at a time for each feed, however long an owner cannot be reached. */
  async #again(feed: OpenFeed, missed: boolean): Promise<void> {
    const { log, world } = this.#deps;
    const { signal } = feed.end;
    feed.missed ||= missed;
    feed.again = true;
    if (feed.telling) return;
    feed.telling = true;
    while (feed.again && !signal.aborted) {
      feed.again = false;
      try {
        if (!(await this.#announce(feed, signal))) feed.missed = true;
      } catch (error) {
        feed.again = true;
        if (signal.aborted) break;
        log.debug("subscription not renewed, trying again", { error });
        await new Promise<void>((resolve) => world.timer(retryMs, resolve));
      }
    }
    feed.telling = false;
    if (!feed.missed || signal.aborted) return;
    feed.missed = false;
    feed.on.resync();
  }

  #renewLater(): void {
    this.#renewal = this.#deps.world.timer(renewMs, () => {
      for (const feed of this.#open.values()) void this.#again(feed, false);
      this.#renewLater();
    });
  }
}
