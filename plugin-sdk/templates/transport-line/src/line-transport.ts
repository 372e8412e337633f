import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type Downlinks, Fault, type Log, type Session, type Sessions, type World } from "@heddle/plugin-sdk";

/** Characters of a line, bytes that a device may leave unread, connections at once, and ms from the accept to the token. */
const longestLine = 65_536;
const mostUnread = 262_144;
const mostConnections = 10_000;
const tokenMs = 10_000;

export interface LineDeps {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
}

/** A token, then `telemetry {…}`, `attributes {…}` or `reply 7 {…}` a line; `attributes {…}` and `call 7 {…}` come back. */
export class LineTransport implements AsyncDisposable {
  readonly #deps: LineDeps;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => void this.#serve(socket));
  readonly #closing = new AbortController();

  constructor(deps: LineDeps) {
    this.#deps = deps;
  }

  /** Resolves with the port. Fault `line.listen`. */
  async start({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    this.#server.maxConnections = mostConnections;
    try {
      await once(this.#server.listen(port, host), "listening");
    } catch (cause) {
      throw new Fault("unavailable", "line.listen", `cannot listen on ${host}:${port}`, { cause });
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(socket: Socket): Promise<void> {
    const { world, log } = this.#deps;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket)).on("error", (error) => log.debug("line lost", { error }));
    const late = world.timer(tokenMs, () => socket.destroy());
    let session: Session | undefined;
    try {
      for await (const line of linesOf(socket)) {
        if (session === undefined) {
          session = await this.#open(socket, line);
          late[Symbol.dispose]();
          socket.write(session === undefined ? "no\n" : "ok\n");
          if (session === undefined) break;
        } else socket.write((await this.#taken(session, line)) ? "ok\n" : "no\n");
      }
    } catch (error) {
      log.debug("connection ended", { error });
    } finally {
      late[Symbol.dispose]();
      socket.end();
      await session?.[Symbol.asyncDispose]();
    }
  }

  /** Undefined for a stranger. Pushes arrive from the moment the device hears that it is in. */
  async #open(socket: Socket, token: string): Promise<Session | undefined> {
    const { sessions } = this.#deps;
    const address = socket.remoteAddress ?? "?";
    const call = { signal: this.#closing.signal };
    if (sessions.isBlocked(address)) return undefined;
    const from = { transport: "line", address };
    const who = await sessions.authenticate({ kind: "token", token }, { ...call, from });
    if (who === undefined) return undefined;
    const about = { transport: "line", peer: `${address}:${socket.remotePort}` };
    const session = await sessions.open(who, about, downlinksOf(socket), call);
    session.closed.addEventListener("abort", () => socket.end(), { once: true });
    await session.subscribe("attributes", true, call);
    await session.subscribe("rpc", true, call);
    return session;
  }

  /** True when what the line says is durable; the next line is read after that, so order and memory need no more care. */
  async #taken(session: Session, line: string): Promise<boolean> {
    const [, verb, id, text = ""] = /^(telemetry|attributes|reply (\d{1,9})) (.*)$/.exec(line) ?? [];
    try {
      if (verb === undefined)
        throw new Fault("invalid", "line.form", "a line begins with telemetry, attributes or reply");
      if (id !== undefined) await session.rpcReply(Number(id), Buffer.from(text));
      else await session[verb as "telemetry" | "attributes"](Buffer.from(text));
      return true;
    } catch (error) {
      this.#deps.log.debug("line refused", { deviceId: session.device.deviceId, error });
      return false;
    }
  }
}

function downlinksOf(socket: Socket): Downlinks {
  const tell = async (line: string) => {
    if (socket.writableLength > mostUnread) socket.destroy();
    if (socket.destroyed) throw new Fault("unavailable", "line.unread", "the device does not read any more");
    socket.write(`${line}\n`);
  };
  return {
    deliverAttributes: (json) => tell(`attributes ${json}`),
    deliverRpc: ({ requestId, method, params }) =>
      tell(`call ${requestId} {"method":${JSON.stringify(method)},"params":${params}}`),
  };
}

/** While a line is handled nothing is read: a device that is too fast is slowed down by its own socket. */
async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of socket.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine)
      throw new Fault("invalid", "line.form", `a line has at most ${longestLine} characters`);
    yield* lines;
  }
}
