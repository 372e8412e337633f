import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Server } from "../e2e/server.ts";
import type { ClusterNodes } from "../services/cluster/nodes.ts";
import { sharedService } from "../services/service.ts";

/** Where the rows run: one standalone process, or three nodes of the cluster distribution with clients spread over them. */
export const onCluster = process.env["CONFORMANCE_TARGET"] === "cluster";

/** How long an answer may take, ms: three nodes share their machine with their services. */
export const patience = onCluster ? 20_000 : 5_000;

export interface TargetOptions {
  /** Settings of the manifest by path, such as `plugins.devices.config.sessionIdle`. */
  readonly set?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** A rule message, as the witness wrote it down. */
export interface Witnessed {
  readonly type: string;
  /** Of the originator. */
  readonly id: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly ts: number;
  /** JSON text. */
  readonly data: string;
}

/** Texts shorter than this stand in a log by accident. */
const shortestSecret = 8;

/**
 * A running distribution that logs at level `debug`. With several nodes each port that is asked for is the next one's. Its end
 * searches what it has logged for the secrets that were made, and fails when it finds one.
 */
export class Target implements AsyncDisposable {
  readonly nodes: readonly Server[];
  readonly #folder: string;
  readonly #cluster: ClusterNodes | undefined;
  readonly #secrets = new Map<string, string>();
  #next = 0;

  private constructor(nodes: readonly Server[], folder: string, cluster?: ClusterNodes) {
    this.nodes = nodes;
    this.#folder = folder;
    this.#cluster = cluster;
  }

  static async start({ set = {}, env = {} }: TargetOptions = {}): Promise<Target> {
    const folder = mkdtempSync(join(tmpdir(), "heddle-conformance-"));
    const args = Object.entries({ "log.level": "debug", ...set }).flatMap(([path, value]) => [
      "--set",
      `${path}=${value}`,
    ]);
    const witnessed = (node: string) => ({ ...env, WITNESS_FILE: join(folder, `${node}.jsonl`) });
    if (!onCluster) {
      const manifest = resolve(import.meta.dirname, "standalone.yaml");
      return new Target([await Server.start({ manifest, args, env: witnessed("a") })], folder);
    }
    const manifest = resolve(import.meta.dirname, "cluster.yaml");
    // Its drivers do not load under the conditions of the ordinary test run.
    const { ClusterNodes } = await import("../services/cluster/nodes.ts");
    const cluster = new ClusterNodes(serviceAddresses());
    const start = (id: string) => cluster.start(id, { manifest, args, env: witnessed(id) });
    const first = await start("a");
    return new Target([first, ...(await Promise.all([start("b"), start("c")]))], folder, cluster);
  }

  get http(): string {
    return this.#node().http;
  }

  get mqtt(): number {
    return this.#node().port("MQTT");
  }

  /** Where TLS is configured. */
  get mqtts(): number {
    return this.#node().port("MQTT", "mqtts:");
  }

  get coap(): number {
    return this.#node().port("CoAP");
  }

  /** The same with one of its nodes alone, for what each node counts by itself; it is not disposed. */
  oneNode(): Target {
    return new Target([this.#node()], this.#folder);
  }

  /** Returns the text, which no log may hold; `what` names it instead. */
  secret(what: string, text: string): string {
    if (text.length >= shortestSecret) this.#secrets.set(text, what);
    return text;
  }

  /** Rule messages of an entity so far, oldest first. */
  witnessed(id: string): Witnessed[] {
    return this.witnessedText
      .split("\n")
      .filter((line) => line.includes(id))
      .map((line) => JSON.parse(line) as Witnessed)
      .filter((message) => message.id === id)
      .sort((a, b) => a.ts - b.ts);
  }

  /** Everything that the nodes have printed. */
  get log(): string {
    return this.nodes.map(({ log }) => log.join("")).join("\n");
  }

  /** Everything that the witnesses wrote down. */
  get witnessedText(): string {
    return ["a", "b", "c"].map((node) => this.#file(node)).join("");
  }

  /** What the secrets are that stand in the text, each with its line. */
  secretsIn(text: string): string[] {
    const found = [...this.#secrets].filter(([secret]) => text.includes(secret));
    const lines = found.map(([secret, what]) => {
      const line = text.split("\n").find((one) => one.includes(secret)) ?? "";
      return `${what}: ${line.replaceAll(secret, "***")}`;
    });
    return [...new Set(lines)];
  }

  #file(node: string): string {
    try {
      return readFileSync(join(this.#folder, `${node}.jsonl`), "utf8");
    } catch {
      // Nothing witnessed there yet.
      return "";
    }
  }

  #node(): Server {
    return this.nodes[this.#next++ % this.nodes.length] as Server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#cluster === undefined) await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    else await this.#cluster[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
    const told = this.secretsIn(this.log);
    if (told.length > 0) throw new Error(`secrets in the log:\n${told.join("\n")}`);
  }
}

function serviceAddresses(): Record<string, string> {
  const where = (name: "zookeeper" | "kafka" | "cassandra") => {
    const found = sharedService(name);
    if (found === undefined) throw new Error(`CONFORMANCE_TARGET=cluster needs ${name}: npm run services -- start`);
    return found.where;
  };
  return { ZOOKEEPER: where("zookeeper"), KAFKA: where("kafka"), CASSANDRA: where("cassandra") };
}
