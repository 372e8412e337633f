import type { ActorKind, ActorRef, Cluster, FeedUpdate, World } from "@heddle/plugin-sdk";
import { select, type Wanted } from "./interest.ts";

export interface Subscription {
  readonly node: string;
  /** Names the subscription on its node. */
  readonly feed: string;
  readonly wanted: Wanted;
}

/** One entity's subscribers, on the owner of the entity; soft state that the subscribers renew. */
export interface FeedVerbs {
  /** False when the subscription was not known before: the subscriber may have missed updates. */
  subscribe(subscription: Subscription): boolean;
  unsubscribe(at: Pick<Subscription, "node" | "feed">): void;
  update(update: FeedUpdate): void;
}

interface Subscriber {
  readonly wanted: Wanted;
  readonly heardAt: number;
}

/** The subscribers of one node. */
export interface HubVerbs {
  deliver(to: { readonly feeds: readonly string[]; readonly update: FeedUpdate }): void;
}

export interface FeedActorOptions {
  readonly world: World;
  /** A subscription that nobody renewed for so long is dropped: its end was lost, or its node came back without it. */
  readonly expireMs: number;
  readonly cluster: Cluster;
  hub(node: string): ActorRef<HubVerbs>;
  onOpen(key: string): void;
  onClose(key: string): void;
}

export function feedKind({ world, expireMs, cluster, hub, onOpen, onClose }: FeedActorOptions): ActorKind<FeedVerbs> {
  return {
    kind: "feed",
    placement: "partition",
    passive: ["update", "unsubscribe"],
    mailbox: 4096,
    idleMs: 30_000,
    activate({ key, signal }) {
      const nodes = new Map<string, Map<string, Subscriber>>();
      const expire = () => {
        const since = world.elapsed() - expireMs;
        for (const [node, feeds] of nodes) {
          for (const [feed, { heardAt }] of feeds) if (heardAt < since) feeds.delete(feed);
          if (feeds.size === 0) nodes.delete(node);
        }
      };
      const sweepLater = (): Disposable =>
        world.timer(expireMs, () => {
          if (signal.aborted) return;
          expire();
          sweep = sweepLater();
        });
      let sweep = sweepLater();
      const watch = cluster.onChange(({ members }) => {
        for (const node of nodes.keys()) if (!members.includes(node)) nodes.delete(node);
      });
      onOpen(key);
      return {
        subscribe({ node, feed, wanted }) {
          const feeds = nodes.get(node) ?? new Map<string, Subscriber>();
          const known = feeds.has(feed);
          nodes.set(node, feeds.set(feed, { wanted, heardAt: world.elapsed() }));
          return known;
        },
        unsubscribe({ node, feed }) {
          const feeds = nodes.get(node);
          feeds?.delete(feed);
          if (feeds?.size === 0) nodes.delete(node);
        },
        update(update) {
          for (const [node, subscribers] of nodes) {
            const feeds: string[] = [];
            for (const [feed, { wanted }] of subscribers) if (select(wanted, update) !== undefined) feeds.push(feed);
            if (feeds.length > 0) hub(node).tell("deliver", { feeds, update });
          }
        },
        stays: () => nodes.size > 0,
        passivate() {
          watch[Symbol.dispose]();
          sweep[Symbol.dispose]();
          onClose(key);
        },
      };
    },
  };
}
