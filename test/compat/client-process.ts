import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

const usualMs = 20_000;

/** An unmodified client in a process of its own: what it prints, line by line, and what it is told on its standard input. */
export class ClientProcess implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: string[] = [];
  readonly #ended: Promise<number | null>;
  #errors = "";
  #exited = false;
  #wake: () => void = () => {};

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args);
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.#child.stderr.on("data", (chunk) => {
      this.#errors = (this.#errors + String(chunk)).slice(-4_000);
    });
    // A client that has gone hears nothing any more; its end is what tells.
    this.#child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#errors += error.message;
      });
      this.#child.once("close", (code) => {
        this.#exited = true;
        this.#wake();
        resolve(code);
      });
    });
  }

  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next line that fits and no call has returned before. */
  async line(fits: (line: string) => boolean, ms = usualMs): Promise<string> {
    for (const end = performance.now() + ms; ; ) {
      const found = this.#lines.findIndex(fits);
      if (found >= 0) return this.#lines.splice(found, 1)[0] as string;
      const left = end - performance.now();
      if (left <= 0 || this.#exited) {
        throw new Error(`no such line; it printed ${JSON.stringify(this.#lines)} ${this.#errors}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Resolves with its exit code, when it has ended by itself. */
  async end(): Promise<number | null> {
    this.#child.stdin.end();
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** A client that is driven by lines of JSON: each call is answered under its id, and events come in between. */
export class DrivenClient implements AsyncDisposable {
  readonly #process: ClientProcess;
  #calls = 0;

  constructor(program: string, args: readonly string[]) {
    this.#process = new ClientProcess(program, args);
  }

  /** Rejects with what the client says went wrong. */
  async call(name: string, ...args: readonly unknown[]): Promise<any> {
    const id = ++this.#calls;
    this.#process.tell(JSON.stringify({ id, call: name, args }));
    const answer = JSON.parse(await this.#process.line((line) => line.startsWith(`{"id": ${id},`)));
    if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`);
    return answer.result;
  }

  async event(name: string): Promise<any> {
    return JSON.parse(await this.#process.line((line) => line.startsWith(`{"event": "${name}"`))).value;
  }

  end(): Promise<number | null> {
    return this.#process.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
