import { setMaxListeners } from "node:events";
import type { CallOptions, Log, Member, Membership, View, World } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import type { Folder } from "./folder.ts";
import { codes, isCode } from "./handle.ts";
import { decodeRecord, encodeRecord } from "./member-record.ts";
import { MemberWatch } from "./member-watch.ts";
import type { Session } from "./session.ts";
import { ViewStream } from "./view-stream.ts";

export interface MembershipOptions {
  readonly world: World;
  readonly log: Log;
  readonly session: Session;
  readonly folder: Folder;
  /** As its node has been written. */
  readonly member: Member;
}

/** Longest time that leaving waits for ZooKeeper; after it the node goes when the session expires, ms. */
const leaveMs = 1_000;

/** One ephemeral node, from its creation until it is removed or the lease on it is over. */
export class ZookeeperMembership implements Membership {
  readonly incarnation: string;
  readonly #options: MembershipOptions;
  readonly #path: string;
  readonly #views = new ViewStream();
  readonly #lost = new AbortController();
  readonly #left = new AbortController();
  readonly #over: AbortSignal;
  #drained = 0;
  #reporting: Promise<void> = Promise.resolve();
  #leaving: Promise<void> | undefined;

  constructor(options: MembershipOptions) {
    const { session, folder, member } = options;
    this.#options = options;
    this.incarnation = member.incarnation;
    this.#path = folder.memberPath(member.id);
    setMaxListeners(0, this.#lost.signal, this.#left.signal);
    this.#over = AbortSignal.any([this.#lost.signal, this.#left.signal]);
    setMaxListeners(0, this.#over);
    const lose = () => this.#lose(session.ended.reason);
    if (session.ended.aborted) lose();
    else session.ended.addEventListener("abort", lose, { once: true });
    this.#follow();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get validUntil(): number {
    return this.#over.aborted ? Number.NEGATIVE_INFINITY : this.#options.session.validUntil;
  }

  views(signal: AbortSignal): AsyncIterable<View> {
    return this.#views.read(signal);
  }

  /** Reports go one after the other; one that is not newer than what has been reported changes nothing. */
  report(drained: number, { signal }: CallOptions): Promise<void> {
    const write = () => this.#report(drained, AbortSignal.any([signal, this.#over]));
    const written = this.#reporting.then(write, write);
    this.#reporting = written.catch(() => undefined);
    return written;
  }

  /** Removes the node, so that the others see it at once. After a loss there is nothing left to do. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    const { session, world, log } = this.#options;
    this.#left.abort(fault("coordinator.left", "this membership has been given up"));
    this.#views.end();
    const late = new AbortController();
    const timer = world.timer(leaveMs, () => late.abort(fault("coordinator.unreachable", "leaving took too long")));
    try {
      await removeNode(this.#options, late.signal);
    } catch (error) {
      log.warn("the member's node stays until its session expires", { path: this.#path, error });
    } finally {
      timer[Symbol.dispose]();
      await session.close();
    }
  }

  #follow(): void {
    const { session, folder, member } = this.#options;
    const publish = (view: View) => {
      if (view.members.some(({ incarnation }) => incarnation === member.incarnation)) this.#views.push(view);
      else this.#lose(fault("coordinator.lost", `${this.#path} has been removed by somebody else`));
    };
    const watch = new MemberWatch({ ...this.#options, path: folder.members, publish });
    session.onChange = (path) => watch.touch(path);
    folder.explained(() => watch.follow(this.#over)).catch((error) => this.#lose(error));
  }

  async #report(drained: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (drained <= this.#drained) return;
    const { session, folder, member } = this.#options;
    await folder.explained(async () => {
      for (let written = false; !written; ) {
        const { data, stat } = await session.run(signal, (handle) => handle.get(this.#path));
        const found = decodeRecord(data)?.member;
        if (found?.incarnation !== member.incarnation) {
          throw fault("coordinator.lost", `${this.#path} is of another incarnation`);
        }
        const record = encodeRecord({ member: { ...member, drained }, sessionMs: session.timeoutMs });
        written = found.drained >= drained;
        if (!written) written = await this.#write(record, { version: stat.version, signal });
      }
    });
    this.#drained = drained;
  }

  /** False when another write came between; one of ours may have, whose answer was lost. */
  async #write(record: Buffer, at: { readonly version: number; readonly signal: AbortSignal }): Promise<boolean> {
    try {
      await this.#options.session.run(at.signal, (handle) => handle.set(this.#path, record, at.version));
      return true;
    } catch (error) {
      if (isCode(error, codes.badVersion)) return false;
      throw error;
    }
  }

  /** The node stays until the session expires: what this one still had under way gets that long to end. */
  #lose(reason: unknown): void {
    if (this.#over.aborted) return;
    this.#lost.abort(reason);
    this.#views.end();
    this.#options.log.warn("place in the cluster lost", { error: reason });
    this.#leaving = this.#options.session.close();
  }
}

/** Removes the node of a member unless it is of another incarnation by now. */
export async function removeNode(
  { session, folder, member }: Pick<MembershipOptions, "session" | "folder" | "member">,
  signal: AbortSignal,
): Promise<void> {
  const path = folder.memberPath(member.id);
  try {
    const { data } = await session.run(signal, (handle) => handle.get(path));
    if (decodeRecord(data)?.member.incarnation !== member.incarnation) return;
    await session.run(signal, (handle) => handle.delete(path));
  } catch (error) {
    if (!isCode(error, codes.noNode, codes.sessionExpired)) throw error;
  }
}
