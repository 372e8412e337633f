import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Devices in a process of their own, so that they cost the measured server neither memory nor its turns. */
export class Client implements AsyncDisposable {
  readonly #process: ChildProcess;

  /** `file`: of the folder `clients`. */
  constructor(file: string) {
    this.#process = fork(join(import.meta.dirname, "clients", file), {
      execArgv: ["--conditions=source", "--import", "tsx"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  /** One call at a time. */
  async call<T>(name: string, input: unknown = null): Promise<T> {
    const over = new AbortController();
    const wait = (event: string) => once(this.#process, event, { signal: over.signal });
    const gone = wait("exit").then(([code]) => {
      throw new Error(`the client process ended with ${code} during ${name}`);
    });
    const answer = Promise.race([wait("message"), gone]);
    this.#process.send({ name, input });
    try {
      const [{ output, error }] = (await answer) as [{ output?: T; error?: string }];
      if (error !== undefined) throw new Error(`${name}: ${error}`);
      return output as T;
    } finally {
      over.abort();
      gone.catch(() => {}); // Nobody waits for it any more.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill();
    await gone;
  }
}
