import { fault } from "./faults.ts";
import { codes, isCode, ZooError } from "./handle.ts";
import type { AclEntry } from "./native.ts";
import type { Session } from "./session.ts";

/**
 * The chroot of one cluster: `cluster` keeps what all its nodes must agree on, for the life of the data, and `members`
 * holds one ephemeral node for each member. `members` is never deleted: it counts the epochs.
 */
export class Folder {
  readonly root: string;
  readonly members: string;
  readonly #session: Session;
  readonly #user: string | undefined;

  constructor(session: Session, options: { readonly root: string; readonly user: string | undefined }) {
    this.root = options.root;
    this.members = `${options.root}/members`;
    this.#session = session;
    this.#user = options.user;
  }

  memberPath(id: string): string {
    return `${this.members}/${memberName(id)}`;
  }

  /** Makes what is missing; the first node to come founds the cluster with its number of partitions. */
  async prepare(partitions: number, signal: AbortSignal): Promise<void> {
    await this.explained(async () => {
      for (const parent of parents(this.root)) await this.#ensure(parent, empty, signal);
      for (const path of [this.root, this.members]) {
        await this.#ensure(path, empty, signal);
        await this.#secure(path, signal);
      }
      const cluster = `${this.root}/cluster`;
      await this.#ensure(cluster, Buffer.from(JSON.stringify({ version: 1, partitions })), signal);
      await this.#secure(cluster, signal);
      const { data } = await this.#session.run(signal, (handle) => handle.get(cluster));
      this.#agree(data, partitions);
    });
  }

  /** The access list of what this plugin writes: all for its own user and nothing for others. */
  get acl(): readonly AclEntry[] | undefined {
    return this.#user === undefined ? undefined : [{ perms: all, scheme: "auth", auth: "" }];
  }

  /** ZooKeeper's refusals as faults. */
  async explained<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (isCode(error, codes.noAuth, codes.authFailed, codes.invalidAcl)) {
        const who = this.#user === undefined ? "without user and password" : `as user ${this.#user}`;
        throw fault("coordinator.denied", `${this.root} is not open to this node, ${who}`, error);
      }
      if (error instanceof ZooError) throw fault("coordinator.zookeeper", error.message, error);
      throw error;
    }
  }

  async #ensure(path: string, data: Buffer, signal: AbortSignal): Promise<void> {
    try {
      // Asked first, as one who may not create below the parent is refused even when the node is there.
      await this.#session.run(signal, (handle) => handle.exists(path));
    } catch (error) {
      if (!isCode(error, codes.noNode)) throw error;
      await this.#session.run(signal, (handle) => handle.create(path, data, { ephemeral: false })).catch(unlessThere);
    }
  }

  /** The driver creates open nodes only, so a closed one is made in two steps, and one left open is closed later. */
  async #secure(path: string, signal: AbortSignal): Promise<void> {
    const { acl } = this;
    if (acl === undefined) return;
    const entries = await this.#session.run(signal, (handle) => handle.acl(path));
    if (entries.some(({ scheme }) => scheme === "world")) {
      await this.#session.run(signal, (handle) => handle.setAcl(path, acl));
    }
  }

  #agree(data: Buffer, partitions: number): void {
    const founded = foundedWith(data);
    if (founded === undefined) {
      throw fault("coordinator.record", `${this.root}/cluster holds no record of a Heddle cluster`);
    }
    if (founded !== partitions) {
      const text = `this node has cluster.partitions ${partitions}, the cluster in ${this.root} was founded with ${founded}`;
      throw fault("coordinator.partitions", text);
    }
  }
}

const all = 31;
const empty = Buffer.alloc(0);

/** An id as the name of a node; `.` and `..` are no names in ZooKeeper. */
export function memberName(id: string): string {
  const name = encodeURIComponent(id);
  return /^\.+$/.test(name) ? name.replaceAll(".", "%2E") : name;
}

/** `/a`, `/a/b` for `/a/b/c`. */
function parents(path: string): readonly string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`);
}

function unlessThere(error: unknown): void {
  if (!isCode(error, codes.nodeExists)) throw error;
}

function foundedWith(data: Buffer): number | undefined {
  try {
    const { partitions } = JSON.parse(data.toString()) as { readonly partitions?: unknown };
    return Number.isInteger(partitions) ? (partitions as number) : undefined;
  } catch {
    return undefined;
  }
}
