import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Server } from "../../e2e/server.ts";
import { type Service, sharedService } from "../service.ts";
import { TcpProxy } from "../tcp-proxy.ts";
import { ClusterNodes } from "./nodes.ts";
import type { Observed } from "./verdict.ts";

const observer = join(import.meta.dirname, "observer.mjs");
const preload = pathToFileURL(join(import.meta.dirname, "route-ports.mjs")).href;
/** Below the ephemeral range; one for each node. */
const firstPeerPort = 24_500;

export type Link = "zookeeper" | "kafka" | "peers";

export interface Services {
  readonly zookeeper: Service;
  readonly kafka: Service;
  readonly cassandra: Service;
}

/** The shared services; undefined when one does not run. */
export function services(): Services | undefined {
  const [zookeeper, kafka, cassandra] = (["zookeeper", "kafka", "cassandra"] as const).map(sharedService);
  if (zookeeper === undefined || kafka === undefined || cassandra === undefined) return undefined;
  return { zookeeper, kafka, cassandra };
}

/** Ms of the machine's monotonic clock, as observers write it. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

interface Member {
  readonly id: string;
  readonly proxies: Readonly<Record<Link, readonly TcpProxy[]>>;
  server: Server;
}

/** Nodes a, b, c …, each behind proxies of its own, with an observer in each. */
export class FaultyCluster implements AsyncDisposable {
  readonly services: Services;
  readonly #cluster: ClusterNodes;
  readonly #members: Member[] = [];
  readonly #dir = mkdtempSync(join(tmpdir(), "heddle-faults-"));

  constructor(all: Services) {
    this.services = all;
    this.#cluster = new ClusterNodes({
      ZOOKEEPER: all.zookeeper.where,
      KAFKA: all.kafka.where,
      CASSANDRA: all.cassandra.where,
    });
  }

  get ids(): string[] {
    return this.#members.map(({ id }) => id);
  }

  /** Processes that are there, frozen ones among them. */
  get servers(): Server[] {
    return this.#members
      .map(({ server }) => server)
      .filter((server) => server.process.exitCode === null && server.process.signalCode === null);
  }

  server(id: string): Server {
    return this.#member(id).server;
  }

  /** The first node brings the sample data; the others may start together. */
  async open(ids: readonly string[]): Promise<void> {
    for (const [i, id] of ids.entries()) {
      const proxies = await this.#proxies(ids, i);
      const started = this.#start(id, i, proxies);
      if (i === 0) this.#members.push({ id, proxies, server: await started });
      else await started.then((server) => this.#members.push({ id, proxies, server }));
    }
  }

  /** The same node again, after it was killed or stopped. */
  async restart(id: string): Promise<void> {
    const member = this.#member(id);
    member.server = await this.#start(id, this.#members.indexOf(member), member.proxies);
  }

  async stop(id: string): Promise<void> {
    await this.#member(id).server.stop();
  }

  async kill(id: string): Promise<void> {
    await this.#member(id).server.kill();
  }

  signal(id: string, signal: NodeJS.Signals): void {
    this.#member(id).server.process.kill(signal);
  }

  cut(id: string, link: Link): void {
    for (const proxy of this.#member(id).proxies[link]) proxy.cut();
    // Frames come in by what the others open.
    if (link === "peers") this.#towards(id, (proxy) => proxy.cut());
  }

  heal(id: string, link: Link): void {
    for (const proxy of this.#member(id).proxies[link]) proxy.heal();
    if (link === "peers") this.#towards(id, (proxy) => proxy.heal());
  }

  /** Partitions that the nodes serve, when all that answer agree on one view and have settled it. */
  async settled(): Promise<number | undefined> {
    const told = await this.#cluster.status();
    const epochs = new Set(told.map(({ epoch }) => epoch));
    const members = told[0]?.members ?? [];
    const alive = this.servers.length;
    if (told.length !== alive || epochs.size !== 1 || members.length !== alive) return undefined;
    if (members.some(({ drained }) => drained !== told[0]?.epoch)) return undefined;
    return told.reduce((sum, { serving }) => sum + serving, 0);
  }

  /** Records that the rule engines have not finished. */
  async lag(): Promise<number> {
    const [told] = await this.#cluster.status();
    return told?.lanes.find(({ lane }) => lane === "rule-engine")?.lag ?? Number.POSITIVE_INFINITY;
  }

  observed(): Observed[] {
    return this.ids.flatMap((id) => {
      const lines = readFileSync(this.#file(id), "utf8").split("\n");
      // A killed process may leave half a line.
      return lines.flatMap((line) => (line.endsWith("}") ? [JSON.parse(line) as Observed] : []));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server } of this.#members) server.process.kill("SIGCONT");
    await this.#cluster[Symbol.asyncDispose]();
    for (const { proxies } of this.#members) {
      for (const proxy of Object.values(proxies).flat()) await proxy[Symbol.asyncDispose]();
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #proxies(ids: readonly string[], index: number): Promise<Member["proxies"]> {
    const open = (targets: readonly string[]) => Promise.all(targets.map((target) => TcpProxy.open(target)));
    const peers = ids.flatMap((_, i) => (i === index ? [] : [`127.0.0.1:${firstPeerPort + i}`]));
    return {
      zookeeper: await open(this.services.zookeeper.endpoints),
      kafka: await open(this.services.kafka.endpoints),
      peers: await open(peers),
    };
  }

  async #start(id: string, index: number, proxies: Member["proxies"]): Promise<Server> {
    const routes = [...proxies.kafka, ...proxies.peers].map((proxy) => `${proxy.target.split(":")[1]}=${proxy.port}`);
    return this.#cluster.start(id, {
      env: {
        ZOOKEEPER: proxies.zookeeper.map(({ address }) => address).join(","),
        PEER_PORT: String(firstPeerPort + index),
        ROUTES: routes.join(","),
        NODE_OPTIONS: `--import=${preload}`,
      },
      args: [
        ...["plugins.peer.config.host=127.0.0.1", `plugins.observer.use=${observer}`],
        `plugins.observer.config.file=${this.#file(id)}`,
      ].flatMap((one) => ["--set", one]),
    });
  }

  #file(id: string): string {
    return join(this.#dir, `${id}.jsonl`);
  }

  #member(id: string): Member {
    const member = this.#members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`no node ${id}`);
    return member;
  }

  #towards(id: string, act: (proxy: TcpProxy) => void): void {
    const port = firstPeerPort + this.ids.indexOf(id);
    for (const { proxies } of this.#members)
      for (const proxy of proxies.peers) if (proxy.target.endsWith(`:${port}`)) act(proxy);
  }
}
