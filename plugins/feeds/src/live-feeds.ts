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
  #lastId = 0;
  #renewal: Disposable | undefined;
  #watch: Disposable | undefined;

  constructor(deps: Deps, delivered: (updates: number) => void) {
    this.#deps = deps;
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
  }

  subscribe(interest: FeedInterest, on: OpenFeed["on"], call: CallOptions): Feed {
    const id = String(++this.#lastId);
    const key = entityKey(interest.tenantId, interest.entity);
    const feed: OpenFeed = { id, key, wanted: wantedOf(interest), on, end: new AbortController(), owner: undefined };
    this.#open.set(id, feed);
    const live = this.#announce(feed, AbortSignal.any([call.signal, feed.end.signal]));
    return {
      live,
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

  async #announce(feed: OpenFeed, signal: AbortSignal): Promise<void> {
    const { actors, cluster } = this.#deps;
    feed.owner = cluster.ownerOf(feed.key);
    const subscription = { node: cluster.self, feed: feed.id, wanted: feed.wanted };
    await actors.ref(this.#feed, feed.key).ask("subscribe", subscription, { signal });
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

  async #again(feed: OpenFeed, resync: boolean): Promise<void> {
    const { log, world } = this.#deps;
    try {
      await this.#announce(feed, feed.end.signal);
      if (resync && !feed.end.signal.aborted) feed.on.resync();
    } catch (error) {
      if (feed.end.signal.aborted) return;
      log.debug("subscription not renewed, trying again", { error });
      world.timer(retryMs, () => void this.#again(feed, resync));
    }
  }

  #renewLater(): void {
    this.#renewal = this.#deps.world.timer(renewMs, () => {
      for (const feed of this.#open.values()) void this.#again(feed, false);
      this.#renewLater();
    });
  }
}
