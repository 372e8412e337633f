import type { CallOptions, ClusterCoordinator, Health, Log, Member, Membership, World } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import { Folder } from "./folder.ts";
import { codes, type Handle, isCode } from "./handle.ts";
import { decodeRecord, encodeRecord, type MemberRecord } from "./member-record.ts";
import { loadNative, type MakeClient } from "./native.ts";
import { addressesOf, parseServers } from "./servers.ts";
import { Session, type SessionMeter } from "./session.ts";
import { removeNode, ZookeeperMembership } from "./zookeeper-membership.ts";

export interface CoordinatorOptions {
  readonly world: World;
  readonly log: Log;
  readonly meter: SessionMeter;
  /** `host:port,host:port`. */
  readonly servers: string;
  readonly chroot: string;
  readonly sessionTimeoutMs: number;
  readonly login: { readonly user: string; readonly password: { reveal(): string } } | undefined;
  /** The native driver; another one in tests. */
  readonly load?: () => MakeClient;
}

/** How often the node of a member with our id is looked at, ms. */
const occupiedMs = 100;

export class ZookeeperCoordinator implements ClusterCoordinator {
  readonly #options: CoordinatorOptions;
  #session: Session | undefined;
  #state: "idle" | "joining" | "joined" = "idle";

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  async join(self: Omit<Member, "incarnation" | "drained">, { signal }: CallOptions): Promise<Membership> {
    signal.throwIfAborted();
    const { world, log, chroot, login } = this.#options;
    this.#state = "joining";
    const session = await Session.open(this.#sessionOptions(), signal);
    const folder = new Folder(session, { root: chroot, user: login?.user });
    const member: Member = { ...self, incarnation: world.uuid(), drained: 0 };
    try {
      await folder.prepare(self.partitions, signal);
      await folder.explained(() => this.#take({ session, folder, member }, AbortSignal.any([signal, session.ended])));
    } catch (error) {
      await this.#giveUp({ session, folder, member });
      throw error;
    }
    this.#session = session;
    this.#state = "joined";
    return new ZookeeperMembership({ world, log, session, folder, member });
  }

  health(): Health {
    const { servers } = this.#options;
    if (this.#state === "idle") return { state: "up", detail: "has not joined" };
    const session = this.#session;
    if (session === undefined) return { state: "degraded", detail: `joining at ${servers}` };
    if (session.ended.aborted) return { state: "down", detail: String((session.ended.reason as Error).message) };
    return session.connected ? { state: "up" } : { state: "degraded", detail: `reconnecting to ${servers}` };
  }

  #sessionOptions() {
    const { world, log, meter, servers, sessionTimeoutMs, login, load } = this.#options;
    const parsed = parseServers(servers);
    return {
      world,
      log,
      meter,
      client: (load ?? loadNative)(),
      servers,
      addresses: () => addressesOf(parsed),
      timeoutMs: sessionTimeoutMs,
      digest: login === undefined ? undefined : `${login.user}:${login.password.reveal()}`,
    };
  }

  /**
   * Creates the member's node. One that is there may be of a predecessor that was killed and whose session has yet to
   * expire, so a live member is known by its outliving that.
   */
  async #take(place: Place, signal: AbortSignal): Promise<void> {
    const { world } = this.#options;
    let first: { readonly incarnation: string; readonly patience: number } | undefined;
    while (!(await this.#create(place, signal))) {
      const holder = await this.#holder(place, signal);
      if (holder === undefined) continue;
      const { member, sessionMs } = holder;
      if (member.incarnation === place.member.incarnation) return this.#close(place, signal);
      first ??= { incarnation: member.incarnation, patience: world.elapsed() + sessionMs * 1.5 };
      if (member.incarnation !== first.incarnation || world.elapsed() > first.patience) {
        const text = `${member.id} is a live member of the cluster in ${place.folder.root}, at ${member.address}`;
        throw fault("coordinator.duplicate", text);
      }
      await world.sleep(occupiedMs, signal);
    }
  }

  /** False when there is one already; it may be ours, when the answer to the first attempt was lost. */
  async #create({ session, folder, member }: Place, signal: AbortSignal): Promise<boolean> {
    const path = folder.memberPath(member.id);
    const { acl } = folder;
    const data = encodeRecord({ member, sessionMs: session.timeoutMs });
    const create = async (handle: Handle) => {
      const created = handle.create(path, data, { ephemeral: true });
      // Sent right behind it on the same connection, so that it is open to others no longer than it must be.
      const closed = acl === undefined ? undefined : handle.setAcl(path, acl).catch((error: unknown) => error);
      await created;
      const refused = await closed;
      if (refused !== undefined) throw refused;
    };
    try {
      await session.run(signal, create);
      return true;
    } catch (error) {
      if (isCode(error, codes.nodeExists)) return false;
      throw error;
    }
  }

  async #close({ session, folder, member }: Place, signal: AbortSignal): Promise<void> {
    const { acl } = folder;
    if (acl !== undefined) await session.run(signal, (handle) => handle.setAcl(folder.memberPath(member.id), acl));
  }

  /** Undefined when it has gone meanwhile. */
  async #holder({ session, folder, member }: Place, signal: AbortSignal): Promise<MemberRecord | undefined> {
    const path = folder.memberPath(member.id);
    try {
      const { data } = await session.run(signal, (handle) => handle.get(path));
      const found = decodeRecord(data);
      if (found === undefined) throw fault("coordinator.record", `${path} is not the record of a member`);
      return found;
    } catch (error) {
      if (isCode(error, codes.noNode)) return undefined;
      throw error;
    }
  }

  /** A join that fails half way leaves nothing behind that it can reach. */
  async #giveUp(place: Place): Promise<void> {
    const { world, log } = this.#options;
    const late = new AbortController();
    const timer = world.timer(occupiedMs, () =>
      late.abort(fault("coordinator.unreachable", "giving up took too long")),
    );
    try {
      await removeNode(place, late.signal);
    } catch (error) {
      log.debug("what a failed join made stays until its session expires", { error });
    } finally {
      timer[Symbol.dispose]();
      await place.session.close();
    }
  }
}

interface Place {
  readonly session: Session;
  readonly folder: Folder;
  readonly member: Member;
}
