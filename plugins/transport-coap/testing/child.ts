import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CoapConfig } from "../src/coap-server.ts";

/** The listener of `served.ts` in a child process: what grows there is its own. */
export class Child implements AsyncDisposable {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  static async start(config: Partial<CoapConfig> = {}): Promise<Child> {
    const child = fork(fileURLToPath(new URL("./served.ts", import.meta.url)), [JSON.stringify(config)], {
      execArgv: ["--expose-gc", "--conditions=source", "--import", "tsx"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const [port] = (await once(child, "message")) as [number];
    return new Child(child, port);
  }

  /** Resident bytes, after a collection. */
  memory(): Promise<number> {
    return this.#ask("memory") as Promise<number>;
  }

  /** Shared attributes, as JSON text, to every session; resolves when all have them. */
  async push(attributes: string): Promise<void> {
    await this.#ask("push", attributes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill();
    await gone;
  }

  async #ask(...command: string[]): Promise<unknown> {
    const answer = once(this.#process, "message");
    this.#process.send(command);
    return (await answer)[0];
  }
}
