import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Memory } from "./server.ts";

/** The transport of `server.ts` in a child process. */
export class Child implements AsyncDisposable {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  static async start(): Promise<Child> {
    const child = fork(fileURLToPath(new URL("./server.ts", import.meta.url)), {
      execArgv: ["--expose-gc", "--conditions=source", "--import", "tsx"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new Child(child, port);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** `rss` and `used` (heap and buffers, after a collection) in bytes. */
  memory(): Promise<Memory> {
    return this.#ask("memory") as Promise<Memory>;
  }

  async commits(how: "group" | "stall" | "release"): Promise<void> {
    await this.#ask(how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill();
    await gone;
  }

  async #ask(command: string): Promise<unknown> {
    const answer = once(this.#process, "message");
    this.#process.send(command);
    return (await answer)[0];
  }
}
