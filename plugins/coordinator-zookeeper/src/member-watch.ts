import type { Log, Member, View, World } from "@heddle/plugin-sdk";
import { type Gate, gate, unlessAborted } from "./gate.ts";
import { codes, isCode } from "./handle.ts";
import { decodeRecord } from "./member-record.ts";
import type { NativeStat } from "./native.ts";
import type { Session } from "./session.ts";

interface Known {
  readonly czxid: number;
  /** Undefined: this plugin did not write it. */
  readonly member: Member | undefined;
}

export interface MemberWatchOptions {
  readonly world: World;
  readonly log: Log;
  readonly session: Session;
  /** The path whose children are the members. */
  readonly path: string;
  publish(view: View): void;
}

/** Pause after a reading that members overtook, ms. */
const overtakenMs = 5;

/**
 * Keeps a view up to date. ZooKeeper hands out the list of children and the count of its changes together, so one count
 * stands for one set of members wherever it is read; a record counts for a list only when it is of a node that had been
 * created by then. A watch fires before anything that is read later arrives, so a record that no watch has touched is
 * still the one of that node.
 */
export class MemberWatch {
  readonly #options: MemberWatchOptions;
  readonly #known = new Map<string, Known>();
  readonly #stale = new Set<string>();
  #epoch = 0;
  #text = "";
  #dirty: Gate = gate();

  constructor(options: MemberWatchOptions) {
    this.#options = options;
    this.#dirty.open();
  }

  /** What is watched at this path has changed; without a path, anything may have. */
  touch(path: string | undefined): void {
    const { path: parent } = this.#options;
    if (path === undefined) for (const name of this.#known.keys()) this.#stale.add(name);
    else if (path.startsWith(`${parent}/`)) this.#stale.add(path.slice(parent.length + 1));
    this.#dirty.open();
  }

  /** Reads at every touch; ends when the signal aborts, with its reason. */
  async follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      await unlessAborted(this.#dirty.opened, signal);
      this.#dirty = gate();
      const view = await this.#read(signal);
      if (view !== undefined) this.#publish(view);
      else {
        await this.#options.world.sleep(overtakenMs, signal);
        this.#dirty.open();
      }
    }
  }

  /** Undefined when members came or went while it read. */
  async #read(signal: AbortSignal): Promise<View | undefined> {
    const { session, path } = this.#options;
    const { names, stat } = await session.run(signal, (handle) => handle.children(path, true));
    for (const name of [...this.#known.keys()]) if (!names.includes(name)) this.#known.delete(name);
    const unread = names.filter((name) => this.#stale.has(name) || !this.#known.has(name));
    this.#stale.clear();
    await Promise.all(unread.map((name) => this.#load(name, signal)));
    const known = names.map((name) => this.#known.get(name));
    if (known.some((one) => one === undefined || one.czxid > stat.pzxid)) return undefined;
    const members = known.flatMap((one) => one?.member ?? []).sort((a, b) => (a.id < b.id ? -1 : 1));
    return { epoch: epochOf(stat), members };
  }

  async #load(name: string, signal: AbortSignal): Promise<void> {
    const { session, path, log } = this.#options;
    this.#known.delete(name);
    try {
      const { data, stat } = await session.run(signal, (handle) => handle.get(`${path}/${name}`, true));
      const member = decodeRecord(data)?.member;
      if (member === undefined) log.error("not the record of a member, left out", { path: `${path}/${name}` });
      this.#known.set(name, { czxid: stat.czxid, member });
    } catch (error) {
      if (!isCode(error, codes.noNode)) throw error;
    }
  }

  #publish(view: View): void {
    const text = JSON.stringify(view);
    if (view.epoch < this.#epoch || text === this.#text) return;
    this.#epoch = view.epoch;
    this.#text = text;
    this.#options.publish(view);
  }
}

/**
 * The changes of the list since it was founded, counted on from that moment in microseconds: a folder that was deleted
 * and founded again, or a new ensemble, still goes on above what nodes have seen.
 */
export function epochOf({ ctime, cversion }: Pick<NativeStat, "ctime" | "cversion">): number {
  return ctime.getTime() * 1_000 + cversion;
}
