import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Capability, World } from "@heddle/plugin-sdk";
import { BackEndServer, BackEnds } from "../src/workers/back-end-server.ts";
import { Caller } from "../src/workers/caller.ts";
import { SystemWorld } from "../src/world/system-world.ts";
import { quietLog } from "./quiet-log.ts";

/** One value behind a real Unix socket, and workers that reach it there. */
export class OverSocket<V> implements AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  readonly world: World = new SystemWorld();
  readonly server: BackEndServer;
  /** Workers that the server took for dead. */
  readonly silent: number[] = [];
  readonly callers: Caller[] = [];
  readonly #capability: Capability<V, any>;

  private constructor(folder: string, capability: Capability<V, any>, { value, leaseMs }: Offered<V>) {
    this.folder = folder;
    this.path = join(folder, "socket");
    this.#capability = capability;
    this.server = new BackEndServer({
      world: this.world,
      log: quietLog(),
      offers: [{ unit: "it", capability, value }],
      health: async () => ({ state: "degraded", detail: "in the parent" }),
      silent: (worker) => this.silent.push(worker),
      ...(leaseMs === undefined ? {} : { leaseMs }),
    });
  }

  static async of<V>(capability: Capability<V, any>, offered: Offered<V>): Promise<OverSocket<V>> {
    const made = new OverSocket(await mkdtemp(join(tmpdir(), "heddle-wire-")), capability, offered);
    await made.server.listen(made.path);
    return made;
  }

  /** The value as the next worker sees it; through another socket where something stands between. */
  async worker(path = this.path): Promise<V> {
    return (await this.backEnds(path)).value("it", this.#capability) as V;
  }

  async backEnds(path = this.path): Promise<BackEnds> {
    const caller = await Caller.connect(path, this.world);
    this.callers.push(caller);
    const call = { signal: AbortSignal.timeout(5_000) };
    return BackEnds.meet(caller, { worker: this.callers.length, world: this.world }, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const caller of this.callers) caller.close();
    await this.server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export interface Offered<V> {
  readonly value: V;
  readonly leaseMs?: number;
}
