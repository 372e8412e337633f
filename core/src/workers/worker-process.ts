import cluster, { type Worker } from "node:cluster";
import { Fault, type Log, type ReadyNote, type World } from "@heddle/plugin-sdk";
import { type FromParent, type FromWorker, type WorkerEnv, workerVariable } from "./worker.ts";

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** Who lived so long begins again with the shortest pause. */
const settledMs = 60_000;

/** One seat among the workers, whichever process sits on it: after a death the next one comes, with back-off. */
export class WorkerProcess {
  readonly index: number;
  readonly #env: WorkerEnv;
  readonly #world: World;
  readonly #log: Log;
  #worker: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #pauseMs = firstPauseMs;
  #pausing: Disposable | undefined;
  /** Before it listens, nothing that is said is heard. */
  #listening = false;
  #stopping = false;

  constructor(env: WorkerEnv, { world, log }: { readonly world: World; readonly log: Log }) {
    this.index = env.index;
    this.#env = env;
    this.#world = world;
    this.#log = log;
  }

  /** Resolves with what it has to say when it is ready; rejects when it ends before. */
  async start(signal: AbortSignal): Promise<readonly ReadyNote[]> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      this.#fork((outcome) => {
        signal.removeEventListener("abort", abort);
        if (outcome instanceof Fault) reject(outcome);
        else resolve(outcome);
      });
    });
  }

  kill(why: string): void {
    if (this.#worker === undefined) return;
    this.#log.warn("worker is killed", { worker: this.index, pid: this.#worker.process.pid, why });
    this.#worker.process.kill("SIGKILL");
  }

  /** Resolves when its process has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pausing?.[Symbol.dispose]();
    if (this.#listening) this.#tellToStop();
    await this.#ended;
  }

  #tellToStop(): void {
    if (this.#worker?.isConnected()) this.#worker.send({ heddle: "stop" } satisfies FromParent);
  }

  /** `first` hears of the first outcome: ready, or the end of a process that never was. */
  #fork(first: (outcome: readonly ReadyNote[] | Fault) => void): void {
    const worker = cluster.fork({ [workerVariable]: JSON.stringify(this.#env) });
    const { pid } = worker.process;
    const bornAt = this.#world.elapsed();
    let ready = false;
    this.#worker = worker;
    worker.on("message", (message: FromWorker) => {
      if (message?.heddle === "listening") {
        this.#listening = true;
        if (this.#stopping) this.#tellToStop();
      }
      if (message?.heddle !== "ready") return;
      ready = true;
      this.#log.info("worker is ready", { worker: this.index, pid });
      first(message.notes);
    });
    // A worker that is gone cannot be told anything; that it is gone is heard below.
    worker.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      worker.once("exit", (code, signal) => {
        this.#worker = undefined;
        this.#listening = false;
        resolve();
        const how = { worker: this.index, pid, ...(signal === null ? { code } : { signal }) };
        if (!ready) first(new Fault("unavailable", "workers.start-failed", `worker ${this.index} could not start`));
        if (this.#stopping) return;
        if (this.#world.elapsed() - bornAt > settledMs) this.#pauseMs = firstPauseMs;
        this.#log.warn("worker has ended, the next one follows", { ...how, afterMs: this.#pauseMs });
        this.#pausing = this.#world.timer(this.#pauseMs, () => this.#fork(() => {}));
        this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
      });
    });
  }
}
