import { describe, expect, it } from "vitest";
import { Fault, type PeerIdentity, type PeerLink } from "../src/index.ts";
import { failingCases } from "./kit.ts";
import { describePeerLink, type PeerLinkKit, peerLinkCases, peerLinkSetup } from "./peer-link.ts";

/** What a variant does wrong. */
interface Flaws {
  readonly mangles?: boolean;
  readonly namesReceiver?: boolean;
  readonly reorders?: boolean;
  readonly repeats?: boolean;
  readonly smallFirst?: boolean;
  readonly cutsLarge?: boolean;
  readonly mixesSenders?: boolean;
  readonly stopsAtFailure?: boolean;
  readonly waitsForNobody?: boolean;
  readonly takesAll?: boolean;
  readonly oneQueue?: boolean;
  readonly ignoresAbort?: boolean;
  readonly sendsAborted?: boolean;
  readonly sendsLate?: boolean;
  readonly takesOversize?: boolean;
  readonly hangsUnreachable?: boolean;
  readonly letsAllIn?: boolean;
  readonly neverReconnects?: boolean;
  readonly replaysOnReconnect?: boolean;
  readonly leavesWaiting?: boolean;
  readonly forgetsOnDispose?: boolean;
  readonly deliversAfterDispose?: boolean;
}

const bounds = { frameBytes: 100_000, takenBytes: 500_000 };
const queueBytes = 200_000;

interface Queued {
  readonly from: string;
  readonly to: string;
  readonly frame: Uint8Array;
}

/** Frames to one address, one after the other. */
class Route {
  readonly queue: Queued[] = [];
  readonly waiting = new Set<{ readonly item: Queued; resolve(): void }>();
  bytes = 0;
  busy = false;
}

/** A small network in memory, to prove the kit; `flaws` break it. */
class Network {
  readonly flaws: Flaws;
  readonly links = new Map<string, Link>();

  constructor(flaws: Flaws) {
    this.flaws = flaws;
  }
}

class Link implements PeerLink {
  readonly #network: Network;
  readonly #name: string;
  readonly #routes = new Map<string, Route>();
  readonly #dead = new Set<string>();
  readonly #history: Queued[] = [];
  readonly #closing = new AbortController();
  #onFrame: (from: string, frame: Uint8Array) => Promise<void> | void = () => {};
  #identity: PeerIdentity = { id: "", admit: () => false };

  constructor(network: Network, name: string) {
    this.#network = network;
    this.#name = name;
  }

  async listen(onFrame: (from: string, frame: Uint8Array) => Promise<void> | void, identity: PeerIdentity) {
    this.#onFrame = onFrame;
    this.#identity = identity;
    this.#network.links.set(this.#name, this);
    return this.#name;
  }

  async send(to: string, frame: Uint8Array, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { flaws, links } = this.#network;
    if (!flaws.sendsLate) signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    if (frame.length > bounds.frameBytes && !flaws.takesOversize) {
      throw new Fault("invalid", "peer.frame-too-large", `${frame.length}`);
    }
    const target = links.get(to);
    const lost = this.#dead.has(to) && flaws.neverReconnects;
    if (target === undefined || lost || !(flaws.letsAllIn || target.#identity.admit(this.#identity.id))) {
      if (target === undefined) this.#dead.add(to);
      if (flaws.hangsUnreachable) await new Promise(() => {});
      throw new Fault("unavailable", "peer.unreachable", to);
    }
    const key = flaws.oneQueue ? "" : to;
    const route = this.#routes.get(key) ?? new Route();
    this.#routes.set(key, route);
    const item = { from: flaws.namesReceiver ? to : this.#identity.id, to, frame };
    if (this.#dead.delete(to) && flaws.replaysOnReconnect) route.queue.push(...this.#history);
    if (route.waiting.size === 0 && this.#fits(route, item)) this.#enqueue(route, item);
    else await this.#wait(route, item, signal);
  }

  #fits(route: Route, { frame }: Queued): boolean {
    return route.bytes === 0 || route.bytes + frame.length <= queueBytes || this.#network.flaws.takesAll === true;
  }

  #wait(route: Route, item: Queued, signal: AbortSignal): Promise<void> {
    const { flaws } = this.#network;
    return new Promise((resolve, reject) => {
      const waiter = { item, resolve };
      route.waiting.add(waiter);
      const stop = (reason: unknown) => {
        if (!flaws.sendsAborted) route.waiting.delete(waiter);
        reject(reason);
      };
      if (!flaws.ignoresAbort) signal.addEventListener("abort", () => stop(signal.reason));
      if (!flaws.leavesWaiting) this.#closing.signal.addEventListener("abort", () => stop(this.#closing.signal.reason));
    });
  }

  #enqueue(route: Route, item: Queued): void {
    const { flaws } = this.#network;
    if (flaws.smallFirst && item.frame.length < 5_000) route.queue.unshift(item);
    else if (flaws.reorders && route.queue.length > 5) route.queue.splice(-1, 0, item);
    else route.queue.push(item);
    if (flaws.repeats && route.queue.length === 7) route.queue.push(item);
    route.bytes += item.frame.length;
    this.#history.push(item);
    if (!route.busy) void this.#pump(route);
  }

  async #pump(route: Route): Promise<void> {
    const { flaws, links } = this.#network;
    route.busy = true;
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      for (let item = route.queue.shift(); item !== undefined; item = route.queue.shift()) {
        if (flaws.forgetsOnDispose && this.#closing.signal.aborted) continue;
        const failed = await this.#deliver(links.get(item.to), item);
        if (failed && flaws.stopsAtFailure) return;
        route.bytes = Math.max(0, route.bytes - item.frame.length);
        for (const waiter of route.waiting) {
          if (!this.#fits(route, waiter.item)) break;
          route.waiting.delete(waiter);
          this.#enqueue(route, waiter.item);
          waiter.resolve();
        }
      }
      if (route.queue.length === 0) break;
    }
    route.busy = false;
  }

  /** True when the receiver failed. */
  async #deliver(target: Link | undefined, { from, frame }: Queued): Promise<boolean> {
    const { flaws } = this.#network;
    const bytes = frame.slice(0, flaws.cutsLarge ? 65_536 : frame.length);
    if (flaws.mangles && bytes.length > 200) bytes[200] = 0;
    const sender = flaws.mixesSenders && from === "sender-3" ? "sender-4" : from;
    try {
      const work = target === undefined ? undefined : target.#onFrame(sender, bytes);
      if (flaws.waitsForNobody) Promise.resolve(work).catch(() => {});
      else await work;
      return false;
    } catch {
      return true;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { flaws, links } = this.#network;
    this.#closing.abort(new Fault("unavailable", "peer.closed", this.#name));
    if (!flaws.deliversAfterDispose && links.get(this.#name) === this) links.delete(this.#name);
  }
}

const kitWith = (flaws: Flaws): PeerLinkKit => ({
  bounds,
  create: async () => {
    const network = new Network(flaws);
    return {
      link: async (name) => new Link(network, name),
      unreachable: "nobody",
      [Symbol.asyncDispose]: async () => {},
    };
  },
});

describePeerLink("a network in memory", kitWith({}));

const order = "order holds while small and large frames mix and the receiver takes its time";
const intact = "a frame arrives as it was sent, with the id of its sender";
const pairOrder = "frames of a pair arrive in the order of the sends, each once";
const bounded = "a slow receiver makes the sender wait, what is under way is bounded, and all of it arrives";
const aborts = "a send that waits ends soon after its signal aborts, and its frame is never sent";
const back = "a receiver that comes back on its address is reached again, and frames keep their order";
const atDispose = "what was sent before dispose still arrives, and what comes after is not delivered";

const variants: readonly (readonly [what: string, flaws: Flaws, found: string])[] = [
  ["changes a byte", { mangles: true }, intact],
  ["names the receiver", { namesReceiver: true }, intact],
  ["lets frames overtake", { reorders: true }, pairOrder],
  ["delivers a frame twice", { repeats: true }, pairOrder],
  ["lets small frames overtake large ones", { smallFirst: true }, order],
  ["cuts large frames", { cutsLarge: true }, "the largest frame arrives whole, in both directions at once"],
  ["mixes senders", { mixesSenders: true }, "frames of many senders do not mix, and each keeps its order"],
  ["stops at a failure", { stopsAtFailure: true }, "a receiver that fails on a frame gets the next ones"],
  ["does not wait", { waitsForNobody: true }, "no frame of a sender comes before the one before it is done"],
  ["takes all there is", { takesAll: true }, bounded],
  ["has one queue for all peers", { oneQueue: true }, "one slow receiver holds up no other"],
  ["ignores abort", { ignoresAbort: true }, aborts],
  ["sends what was given up", { sendsAborted: true }, aborts],
  ["sends what was given up before", { sendsLate: true }, "a signal that has aborted sends nothing"],
  [
    "takes frames over the limit",
    { takesOversize: true },
    "a frame over the limit is refused at the sender, and the connection stays",
  ],
  [
    "waits for nobody to listen",
    { hangsUnreachable: true },
    "an address where nobody listens is unreachable, soon and every time",
  ],
  ["lets strangers in", { letsAllIn: true }, "who is not admitted delivers nothing, and delivers as soon as he is"],
  ["never reconnects", { neverReconnects: true }, back],
  ["sends again what may have arrived", { replaysOnReconnect: true }, back],
  [
    "leaves sends waiting",
    { leavesWaiting: true },
    "dispose ends the sends that wait and delivers nothing more, and a second one is fine",
  ],
  ["forgets what was sent", { forgetsOnDispose: true }, atDispose],
  ["delivers after dispose", { deliversAfterDispose: true }, atDispose],
];

describe("the peer link kit finds a link that", () => {
  for (const [what, flaws, found] of variants) {
    it(what, async () => {
      const suspects = peerLinkCases.filter(({ name }) => name === found);
      expect(suspects).toHaveLength(1);
      expect(await failingCases(suspects, peerLinkSetup(kitWith(flaws)), 3_000)).toEqual([found]);
    });
  }
});
