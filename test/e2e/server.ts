import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const usualReadyMs = 20_000;

export interface ServerOptions {
  /** Kept from an earlier life of the server. */
  readonly dataDir?: string;
  readonly manifest?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Longest time to the ready line, ms. */
  readonly readyMs?: number;
}

interface Ready {
  readonly startedInMs: number;
  readonly notes: readonly { readonly title: string; readonly lines: readonly string[] }[];
}

/** What `npm start` runs: the standalone distribution with demo data, in a process of its own on ports of its own. */
export class Server implements AsyncDisposable {
  readonly dataDir: string;
  readonly process: ChildProcess;
  readonly ready: Ready;
  /** From the spawn to the ready line, ms. */
  readonly tookMs: number;
  readonly log: string[];

  private constructor(parts: { dataDir: string; process: ChildProcess; ready: Ready; tookMs: number; log: string[] }) {
    this.dataDir = parts.dataDir;
    this.process = parts.process;
    this.ready = parts.ready;
    this.tookMs = parts.tookMs;
    this.log = parts.log;
  }

  static async start(options: ServerOptions = {}): Promise<Server> {
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "heddle-e2e-"));
    const manifest = options.manifest ?? join(root, "distributions/standalone/manifest.yaml");
    execFileSync(process.execPath, [join(root, ".build/transpile.mjs")]);
    const args = [
      ...(process.env["SERVER_NODE_ARGS"]?.split(" ") ?? []),
      "--max-semi-space-size=32",
      "core/bin/heddle.js",
      "run",
      manifest,
      "--demo",
      "--json",
    ];
    const env = { HTTP_BIND_PORT: "0", MQTT_BIND_PORT: "0", COAP_BIND_PORT: "0", DATA_DIR: dataDir, ...options.env };
    const began = performance.now();
    const child = spawn(process.execPath, [...args, ...(options.args ?? [])], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log: string[] = [];
    child.stderr?.on("data", (chunk) => log.push(String(chunk)));
    const ready = await readyLine(child, log, options.readyMs ?? usualReadyMs);
    return new Server({ dataDir, process: child, ready, tookMs: performance.now() - began, log });
  }

  /** Of the first address under the title, or of the first with that scheme. */
  port(title: string, scheme = ""): number {
    const note = this.ready.notes.find((one) => one.title === title);
    const port = /:(\d+)\/?$/.exec(note?.lines.find((line) => line.startsWith(scheme)) ?? "")?.[1];
    if (port === undefined)
      throw new Error(`the ready block names no ${title} ${scheme} port: ${JSON.stringify(this.ready.notes)}`);
    return Number(port);
  }

  get http(): string {
    return `http://127.0.0.1:${this.port("HTTP")}`;
  }

  /** As a power switch does it to the process. */
  async kill(): Promise<void> {
    const gone = exited(this.process);
    this.process.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    const gone = exited(this.process);
    this.process.kill("SIGTERM");
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

function readyLine(child: ChildProcess, log: readonly string[], readyMs: number): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let out = "";
    const fail = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`${why}\n${out}\n${log.join("").slice(-4_000)}`));
    };
    const timer = setTimeout(() => fail(`not ready within ${readyMs} ms`), readyMs);
    child.once("exit", (code) => fail(`ended with ${code} before it was ready`));
    child.stdout?.on("data", (chunk) => {
      out += String(chunk);
      const line = out.split("\n").find((one) => one.startsWith('{"ready":true'));
      if (line === undefined) return;
      clearTimeout(timer);
      child.removeAllListeners("exit");
      resolve(JSON.parse(line) as Ready);
    });
  });
}
