import { setMaxListeners } from "node:events";
import { asFault, type Identity, type Log, type Principal } from "@heddle/plugin-sdk";
import type { WebSocket } from "ws";
import { errorCodes, errorText } from "./answers.ts";
import { type Dialect, type Message, readMessage } from "./commands.ts";
import { type CommandDeps, WsCommands } from "./ws-commands.ts";

/** Close codes of websocket 1.4. */
const close = { goingAway: 1001, badData: 1007, policy: 1008, internal: 1011, unreliable: 4500 } as const;
/** A close reason has at most this many bytes (RFC 6455 5.5). */
const reasonBytes = 123;
/** A client that was told to go and stays. */
const lingerMs = 1_000;

export interface ConnectionOptions {
  readonly deps: CommandDeps & { readonly identity: Identity; readonly log: Log };
  readonly dialect: Dialect;
  /** From the query; absent: the first message brings it. */
  readonly token: string | undefined;
  readonly limits: {
    readonly pending: number;
    readonly subscriptions: number;
    readonly intervals: number;
    readonly refresh: number;
    readonly authTimeout: number;
  };
  sent(): void;
}

/** One connection, from its upgrade to its close. */
export class WsConnection {
  readonly #socket: WebSocket;
  readonly #options: ConnectionOptions;
  readonly #end = new AbortController();
  readonly #authLimit: Disposable;
  /** Messages are taken one after the other; only signing in takes time. */
  #turn: Promise<void> = Promise.resolve();
  #commands: WsCommands | undefined;
  #pending = 0;
  /** Monotonic ms. */
  lastPong: number;

  constructor(socket: WebSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    // Every live subscription waits on it.
    setMaxListeners(0, this.#end.signal);
    const { world } = options.deps;
    this.lastPong = world.elapsed();
    this.#authLimit = world.timer(options.limits.authTimeout, () => {
      if (this.#commands === undefined) this.close(close.policy, "");
    });
    socket.on("message", (data, binary) => this.#take(() => (binary ? this.#bad() : this.#message(String(data)))));
    socket.on("pong", () => {
      this.lastPong = world.elapsed();
    });
    socket.on("error", (error) => options.deps.log.debug("websocket error", { error }));
    socket.on("close", () => this.#ended());
    if (options.token !== undefined) this.#take(() => this.#signIn({ token: options.token ?? "" }, close.internal));
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  close(code: number, reason: string): void {
    this.#end.abort();
    this.#commands?.close();
    const text = Buffer.from(reason).subarray(0, reasonBytes).toString();
    this.#socket.close(code, text);
    this.#options.deps.world.timer(lingerMs, () => this.#socket.terminate());
  }

  unreliable(): void {
    this.close(close.unreliable, "no answer to pings: the session is unreliable");
  }

  leave(): void {
    this.close(close.goingAway, "");
  }

  #take(step: () => Promise<void> | void): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#end.signal.aborted) return;
      try {
        await step();
      } catch (error) {
        if (this.#end.signal.aborted) return;
        this.#options.deps.log.error("websocket message failed", { error });
        this.close(close.internal, "Internal Server error!");
      }
    });
  }

  #bad(): void {
    if (this.#commands === undefined)
      this.close(close.badData, "The given bytes cannot be transformed to Json object: binary frame");
    else this.#send(errorText(1, errorCodes.badRequest, "Failed to parse the payload"));
  }

  async #message(text: string): Promise<void> {
    let message: Message;
    try {
      message = readMessage(this.#options.dialect, text);
    } catch (error) {
      if (this.#commands !== undefined)
        return this.#send(errorText(1, errorCodes.badRequest, "Failed to parse the payload"));
      return this.close(
        close.badData,
        `The given string value cannot be transformed to Json object: ${(error as Error).message}`,
      );
    }
    if (this.#commands === undefined) {
      if (message.auth === undefined) return this.close(close.policy, "Auth cmd is missing");
      await this.#signIn(message.auth, close.badData);
    }
    for (const command of message.commands) this.#commands?.run(command);
  }

  async #signIn(
    auth: { readonly token?: string | null; readonly apiKey?: string | null },
    code: number,
  ): Promise<void> {
    const { identity } = this.#options.deps;
    const call = { signal: this.#end.signal };
    let principal: Principal;
    try {
      principal = auth.apiKey
        ? await identity.authenticateApiKey(auth.apiKey, call)
        : await identity.authenticate(auth.token ?? "", call);
    } catch (error) {
      return this.close(code, auth.token === "" ? "Token is invalid" : reasonOf(error));
    }
    const { limits, deps } = this.#options;
    this.#authLimit[Symbol.dispose]();
    identity.ended(principal).addEventListener("abort", () => this.close(close.policy, "The sign-in has ended"), {
      once: true,
      signal: this.#end.signal,
    });
    this.#commands = new WsCommands(deps, {
      principal,
      signal: this.#end.signal,
      mostWindows: limits.intervals,
      mostSubscriptions: limits.subscriptions,
      refreshMs: limits.refresh,
      send: (text) => this.#send(text),
      tooMany: () => this.close(close.policy, "Max regular user subscriptions limit reached"),
    });
  }

  /** Bounded: a client that does not read is closed, not remembered (websocket 5.2). */
  #send(text: string): void {
    if (this.#end.signal.aborted) return;
    if (this.#pending >= this.#options.limits.pending)
      return this.close(close.policy, "Max pending updates limit reached!");
    this.#pending++;
    this.#options.sent();
    this.#socket.send(text, (error) => {
      this.#pending--;
      if (error !== undefined && error !== null) this.#options.deps.log.debug("websocket message not sent", { error });
    });
  }

  #ended(): void {
    this.#authLimit[Symbol.dispose]();
    this.#commands?.close();
    this.#end.abort();
  }
}

/** Texts that clients know; of anything else the fault's own. */
function reasonOf(error: unknown): string {
  const { code, message } = asFault(error);
  if (code === "identity.expired") return "JWT Token expired";
  return code === "identity.token" || code === "identity.credentials" ? "Invalid JWT token: " : message;
}
