import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const scripts = import.meta.dirname;
/** Data, logs and pid files of the services; one folder each. */
export const servicesDir = resolve(process.env["SERVICES_DIR"] ?? join(scripts, "../../.cache/services"));

export interface ServiceSpec {
  /** Also the name of its script and its folder. */
  readonly name: "zookeeper" | "kafka" | "cassandra";
  readonly port: number;
  readonly nodes: number;
}

/** What `npm run services` starts. Ports stay below the ephemeral range and leave room for the inner ones. */
export const specs: readonly ServiceSpec[] = [
  { name: "zookeeper", port: 21_800, nodes: 3 },
  { name: "kafka", port: 22_200, nodes: 3 },
  { name: "cassandra", port: 22_600, nodes: 1 },
];

/** One real service, all its nodes, under the control of a test. Nodes count from 1. */
export class Service {
  readonly spec: ServiceSpec;
  readonly dir: string;

  constructor(spec: ServiceSpec, dir = join(servicesDir, spec.name)) {
    this.spec = spec;
    this.dir = dir;
  }

  /** `host:port` of each node. */
  get endpoints(): readonly string[] {
    return Array.from({ length: this.spec.nodes }, (_, i) => `127.0.0.1:${this.spec.port + i}`);
  }

  /** `host:port,host:port`, the form that manifests take. */
  get where(): string {
    return this.endpoints.join(",");
  }

  get running(): boolean {
    return this.nodes.every((node) => alive(this.#pidFile(node)));
  }

  get nodes(): readonly number[] {
    return Array.from({ length: this.spec.nodes }, (_, i) => i + 1);
  }

  /** Starts every node that does not run and waits until all take requests; what they had stored is still there. */
  async start(): Promise<void> {
    await this.#script("start", this.dir, String(this.spec.port));
  }

  async stop(): Promise<void> {
    await this.#script("stop", this.dir);
  }

  /** `kill -9`; resolves when the process is gone. */
  async kill(node: number): Promise<void> {
    await this.#signal(node, "SIGKILL");
    while (alive(this.#pidFile(node))) await pause(20);
  }

  /** The process keeps its sockets and does nothing. */
  freeze(node: number): Promise<void> {
    return this.#signal(node, "SIGSTOP");
  }

  thaw(node: number): Promise<void> {
    return this.#signal(node, "SIGCONT");
  }

  async #signal(node: number, signal: NodeJS.Signals): Promise<void> {
    process.kill(Number(await readFile(this.#pidFile(node), "utf8")), signal);
  }

  #pidFile(node: number): string {
    return this.spec.name === "cassandra" ? join(this.dir, "pid") : join(this.dir, String(node), "pid");
  }

  async #script(...args: readonly string[]): Promise<void> {
    const env = { ...process.env, NODES: String(this.spec.nodes) };
    await run("bash", [join(scripts, `${this.spec.name}.sh`), ...args], { env, maxBuffer: 16_000_000 });
  }
}

/** The shared service of that name when it runs; the suites run one after the other and leave it running. */
export function sharedService(name: ServiceSpec["name"]): Service | undefined {
  const spec = specs.find((one) => one.name === name) as ServiceSpec;
  const service = new Service(spec);
  return service.running ? service : undefined;
}

/** A killed process stays in the table until it is reaped, with an empty command line. */
function alive(pidFile: string): boolean {
  if (!existsSync(pidFile)) return false;
  try {
    return readFileSync(`/proc/${readFileSync(pidFile, "utf8").trim()}/cmdline`, "utf8").length > 0;
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
