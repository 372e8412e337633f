import { type Feed, type FeedUpdate, valueText } from "@heddle/plugin-sdk";
import type { Shown } from "./answers.ts";

/** Updates that wait while the first values are read. */
const mostHeld = 10_000;

export interface LiveOptions {
  /** Latest values: a point older than the last one sent of its key is not news (websocket 3.4). */
  readonly what: "latest" | "window" | "attributes";
  send(points: readonly Shown[]): void;
  /** Current values, after updates may have been lost. */
  read(): Promise<readonly Shown[]>;
  failed(error: unknown): void;
}

/**
 * The live part of a subscription. It is told before the first values are read, so nothing falls between; what arrives
 * meanwhile is held and sent after them.
 */
export class LiveSubscription {
  readonly #options: LiveOptions;
  readonly #sent = new Map<string, number>();
  #held: FeedUpdate[] | undefined = [];
  /** Updates were lost before the first answer had been sent. */
  #missed = false;
  #feed: Feed | undefined;
  #closed = false;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  attach(feed: Feed): void {
    this.#feed = feed;
    if (this.#closed) this.#drop(feed);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The first answer; live updates follow it. */
  begin(points: readonly Shown[]): void {
    if (this.#closed) return;
    for (const { key, ts, value } of points)
      if (value !== null) this.#sent.set(key, Math.max(ts, this.#sent.get(key) ?? ts));
    this.#options.send(points);
    const held = this.#held ?? [];
    this.#held = undefined;
    const shown = held.length === 0 ? nothing : new Set(points.map(nameOf));
    for (const update of held) this.#news(update, shown);
    if (this.#missed) this.resync();
  }

  deliver(update: FeedUpdate): void {
    if (this.#closed) return;
    if (this.#held === undefined) this.#news(update, nothing);
    else if (this.#held.length < mostHeld) this.#held.push(update);
    else this.#missed = true;
  }

  /** `shown`: what the first answer held, for updates from before it; nothing for those after it. */
  #news({ changes }: FeedUpdate, shown: ReadonlySet<string>): void {
    const { what } = this.#options;
    const ordered = what === "latest" || (what === "attributes" && shown !== nothing);
    const points = changes.filter((point) => {
      if (point.value === null) return true;
      if (shown !== nothing && shown.has(nameOf(point))) return false;
      return !ordered || point.ts >= (this.#sent.get(point.key) ?? Number.NEGATIVE_INFINITY);
    });
    if (points.length === 0) return;
    for (const { key, ts, value } of points) {
      if (value === null) this.#sent.delete(key);
      else this.#sent.set(key, ts);
    }
    this.#options.send(points.map(({ key, ts, value }) => ({ key, ts: value === null ? 0 : ts, value: value ?? "" })));
  }

  resync(): void {
    if (this.#closed) return;
    this.#missed = this.#held !== undefined;
    if (this.#missed) return;
    this.#options.read().then(
      (points) => {
        const missed = points.filter(
          ({ key, ts, value }) => value !== null && ts > (this.#sent.get(key) ?? Number.NEGATIVE_INFINITY),
        );
        if (missed.length === 0 || this.#closed) return;
        for (const { key, ts } of missed) this.#sent.set(key, ts);
        this.#options.send(missed);
      },
      (error) => this.#options.failed(error),
    );
  }

  close(): void {
    this.#closed = true;
    if (this.#feed !== undefined) this.#drop(this.#feed);
  }

  #drop(feed: Feed): void {
    feed[Symbol.asyncDispose]().then(undefined, (error) => this.#options.failed(error));
  }
}

const nothing: ReadonlySet<string> = new Set();

const nameOf = ({ key, ts, value }: Shown): string => `${ts} ${value === null ? "" : valueText(value)} ${key}`;
