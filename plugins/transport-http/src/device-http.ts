import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  asFault,
  type DeviceIdentity,
  Fault,
  type HttpListener,
  type Log,
  type Onboarding,
  type OtaPackages,
  type OtaPackageType,
  type Sessions,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import { BodyBudget, readBody } from "./body.ts";
import { type Exchange, exchangeOf, keysOf } from "./exchange.ts";
import { LongPoll } from "./long-poll.ts";
import { chunkOf, rangeOf, sendPackage } from "./package-download.ts";

interface Config {
  readonly maxBody: number;
  readonly maxRpcBody: number;
  readonly pendingBytes: number;
  readonly poll: number;
  readonly longestPoll: number;
  readonly accurateStatus: boolean;
}

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly http: HttpListener;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly packages: OtaPackages;
}

/** `/api/v1/{token}/…` (device-api 3), on the bare server: no framework stands between a device and its acknowledgement. */
export class DeviceHttp {
  readonly #config: Config;
  readonly #deps: Deps;
  readonly #counted: (status: number) => void;
  readonly #budget: BodyBudget;
  #closed = new AbortController();
  /** The uplinks of a device are kept while it keeps posting, as the encoded heads of its messages are. */
  readonly #uplinks = new WeakMap<DeviceIdentity, Uplinks>();
  #mount: Disposable | undefined;
  /** Tells the calls of one device apart; HTTP itself has no ids for them. */
  #nextCall = 1;

  constructor(config: Config, deps: Deps, counted: (status: number) => void) {
    this.#config = config;
    this.#deps = deps;
    this.#counted = counted;
    this.#budget = new BodyBudget(config.pendingBytes);
  }

  start(): void {
    this.#closed = new AbortController();
    // Every request in progress waits on it.
    setMaxListeners(0, this.#closed.signal);
    this.#mount = this.#deps.http.mount("/api/v1", (request, response) => this.#handle(request, response));
  }

  stop(): void {
    this.#mount?.[Symbol.dispose]();
    this.#closed.abort(new Fault("unavailable", "http.stopping", "the server is stopping"));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange = exchangeOf(request, response);
    if (exchange === undefined) return this.#error(response, 404, "Not found");
    // Refused unheard, as on other transports (device-api 0.1).
    if (this.#deps.sessions.isBlocked(exchange.address)) return void request.socket.destroy();
    if (exchange.path.length === 0) return this.#provision(exchange);
    const known = routes[exchange.path.join("/").replace(/^rpc\/[^/]+$/, "rpc/*")];
    const run = known?.[request.method ?? ""];
    if (known === undefined) return this.#error(response, 404, "Not found");
    if (run === undefined) return this.#error(response, 405, `Request method '${request.method}' is not supported`);
    if (request.method === "GET")
      void this.#withDevice(exchange, 0, (device) => run.call(this, exchange, device, none));
    else this.#withBody(exchange, run);
  }

  #withBody(exchange: Exchange, run: Run): void {
    const { request, response, path } = exchange;
    const mayBeEmpty = path[0] === "claim";
    const maxBytes = path[0] === "rpc" ? this.#config.maxRpcBody : this.#config.maxBody;
    readBody(request, { maxBytes, budget: this.#budget }, (error, body, held) => {
      if (error !== undefined) return this.#refuseBody(response, error);
      if (body.length === 0 && !mayBeEmpty) {
        this.#budget.give(held);
        // Missed before the token is looked at (device-api 3.1).
        return this.#error(response, 400, "Required request body is missing");
      }
      void this.#withDevice(exchange, held, (device) => run.call(this, exchange, device, body));
    });
  }

  /** `held` goes back to the budget when the request is done, whatever became of it. */
  async #withDevice(
    { request, token, response, path, address }: Exchange,
    held: number,
    run: (device: DeviceIdentity) => Promise<void> | void,
  ): Promise<void> {
    try {
      const device = await this.#deps.sessions.authenticate(
        { kind: "token", token },
        { signal: this.#closed.signal, from: { transport: "http", address } },
      );
      if (device === undefined) return this.#answer(response, 401, "");
      await run(device);
    } catch (error) {
      this.#failed({ request, response, path }, error);
    } finally {
      this.#budget.give(held);
    }
  }

  telemetry({ response }: Exchange, device: DeviceIdentity, body: Buffer): Promise<void> {
    return this.#of(device)
      .telemetry(body)
      .then(() => this.#answer(response, 200, ""));
  }

  attributes({ response }: Exchange, device: DeviceIdentity, body: Buffer): Promise<void> {
    return this.#of(device)
      .attributes(body)
      .then(() => this.#answer(response, 200, ""));
  }

  async readAttributes({ response, query }: Exchange, device: DeviceIdentity): Promise<void> {
    const client = keysOf(query, "clientKeys");
    const shared = keysOf(query, "sharedKeys");
    const all = client === undefined && shared === undefined;
    const want = { client: client ?? (all ? "all" : "none"), shared: shared ?? (all ? "all" : "none") } as const;
    const found = await this.#of(device).readAttributes(want, this.#closed);
    const parts = Object.entries(found).map(([scope, json]) => `"${scope}":${json}`);
    this.#answer(response, 200, `{${parts.join(",")}}`, "application/json");
  }

  async rpc({ response }: Exchange, device: DeviceIdentity, body: Buffer): Promise<void> {
    const requestId = this.#nextCall++;
    const call = this.#of(device).rpc({ requestId, payload: body, paramsRequired: true }, this.#closed);
    const reply = call.reply.catch((error) => {
      if (asFault(error).code === "rpc.timeout") return '{"error":"timeout"}';
      throw error;
    });
    const [text] = await Promise.all([reply, call.accepted]);
    this.#answer(response, 200, text, "application/json");
  }

  async rpcReply({ response, path }: Exchange, device: DeviceIdentity, body: Buffer): Promise<void> {
    const id = path[1] ?? "";
    if (!/^-?\d{1,10}$/.test(id)) return this.#error(response, 400, `Request id is an integer, not ${id.slice(0, 40)}`);
    await this.#of(device).rpcReply(Number(id), body);
    this.#answer(response, 200, "");
  }

  /** Accepted for processing, also where claiming is not allowed (device-api 3.6). */
  async claim({ response }: Exchange, device: DeviceIdentity, body: Buffer): Promise<void> {
    const uplinks = this.#of(device);
    uplinks.spend();
    await this.#deps.onboarding.openClaim(device, body, this.#closed);
    uplinks.touch();
    this.#answer(response, 200, "");
  }

  firmware(exchange: Exchange, device: DeviceIdentity): Promise<void> {
    return this.#download(exchange, device, "FIRMWARE");
  }

  software(exchange: Exchange, device: DeviceIdentity): Promise<void> {
    return this.#download(exchange, device, "SOFTWARE");
  }

  async #download({ request, response, query }: Exchange, device: DeviceIdentity, type: OtaPackageType): Promise<void> {
    for (const name of ["title", "version"]) {
      if (query.get(name) === null) return this.#error(response, 400, `Required parameter '${name}' is not present.`);
    }
    const [size, chunk] = [query.get("size") ?? "0", query.get("chunk") ?? "0"];
    if (!isCount(size) || !isCount(chunk)) return this.#error(response, 400, "size and chunk are whole numbers");
    this.#of(device).spend();
    const { packages } = this.#deps;
    const found = await packages.assigned(device.deviceId, type, this.#closed);
    if (found === undefined || found.url !== null || !found.hasData) return this.#answer(response, 404, "");
    if (found.title !== query.get("title") || found.version !== query.get("version")) {
      return this.#answer(response, 400, "");
    }
    const total = found.dataSize ?? 0;
    const range = Number(size) > 0 ? undefined : rangeOf(request.headers.range, total);
    const slice = range ?? chunkOf(total, { size: Number(size), chunk: Number(chunk) });
    this.#counted(await sendPackage(response, { packages, found, slice, ranged: range !== undefined }, this.#closed));
  }

  /** The one request without a token (device-api 6.1). */
  #provision({ request, response, token }: Exchange): void {
    if (token !== "provision") return this.#error(response, 404, "Not found");
    if (request.method !== "POST") {
      return this.#error(response, 405, `Request method '${request.method}' is not supported`);
    }
    readBody(request, { maxBytes: this.#config.maxRpcBody, budget: this.#budget }, async (error, body, held) => {
      if (error !== undefined) return this.#refuseBody(response, error);
      try {
        if (body.length === 0) return this.#error(response, 400, "Required request body is missing");
        const { onboarding } = this.#deps;
        const reply = await onboarding.provision(onboarding.readProvisionRequest(body), this.#closed);
        this.#answer(response, 200, JSON.stringify(reply), text);
      } catch (failure) {
        this.#notProvisioned(response, asFault(failure));
      } finally {
        this.#budget.give(held);
      }
    });
  }

  #notProvisioned(response: ServerResponse, { kind, message }: Fault): void {
    if (kind === "invalid") return this.#error(response, this.#config.accurateStatus ? 400 : 500, message);
    this.#error(response, kind === "unavailable" ? 503 : 500, kind === "unavailable" ? message : "");
  }

  pollUpdates(exchange: Exchange, device: DeviceIdentity): Promise<void> {
    return this.#poll(exchange, device, "attributes");
  }

  pollRpc(exchange: Exchange, device: DeviceIdentity): Promise<void> {
    return this.#poll(exchange, device, "rpc");
  }

  async #poll(
    { request, response, query }: Exchange,
    device: DeviceIdentity,
    what: "attributes" | "rpc",
  ): Promise<void> {
    const asked = query.get("timeout") ?? "0";
    if (!/^-?\d{1,18}$/.test(asked)) return this.#error(response, 400, "timeout is a number of milliseconds");
    const wait = Number(asked) > 0 ? Math.min(Number(asked), this.#config.longestPoll) : this.#config.poll;
    const poll = new LongPoll(this.#deps, { device, what, peer: request.socket.remoteAddress ?? "" });
    const outcome = await poll.run({
      waitMs: wait,
      gone: (run) => response.once("close", run),
      stop: this.#closed.signal,
    });
    if (outcome.status === 200) this.#answer(response, 200, outcome.body, "application/json");
    else this.#answer(response, outcome.status, outcome.body, text);
  }

  #of(device: DeviceIdentity): Uplinks {
    let uplinks = this.#uplinks.get(device);
    if (uplinks === undefined) {
      uplinks = this.#deps.sessions.visit(device);
      this.#uplinks.set(device, uplinks);
    }
    return uplinks;
  }

  #refuseBody(response: ServerResponse, fault: Fault): void {
    if (fault.code !== "http.body-too-large") return this.#answer(response, 503, "");
    response.setHeader("connection", "close");
    this.#answer(response, 413, JSON.stringify(fault.message), "application/json");
  }

  /**
   * Bad documents are 500 with the reason, bad calls and what is over a rate limit without (device-api 3.3, 3.9), unless
   * accurate statuses are wanted; a GET over the limit has no answer there to be compatible with. What passes by itself
   * is 503.
   */
  #failed({ request, response, path }: Pick<Exchange, "request" | "response" | "path">, error: unknown): void {
    if (response.headersSent) return void response.destroy();
    const fault = asFault(error);
    const { accurateStatus } = this.#config;
    const bad = accurateStatus ? 400 : 500;
    if (fault.code === "device.payload" && path[0] !== "rpc") return this.#answer(response, bad, fault.message, text);
    if (fault.kind === "invalid") return this.#answer(response, bad, "");
    if (fault.kind === "exhausted" && (accurateStatus || request.method === "GET")) {
      response.setHeader("retry-after", Math.max(1, Math.ceil((fault.retryAfterMs ?? 1_000) / 1_000)));
      return this.#answer(response, 429, "");
    }
    if (fault.kind === "internal") this.#deps.log.error("request of a device failed", { error });
    this.#answer(response, fault.kind === "unavailable" ? 503 : 500, "");
  }

  /** As the reference's web layer says it: 2 general, 31 bad request, 32 not found. */
  #error(response: ServerResponse, status: number, message: string): void {
    const errorCode = status === 404 ? 32 : status === 500 ? 2 : 31;
    const body = JSON.stringify({ status, message, errorCode, timestamp: this.#deps.world.now() });
    this.#answer(response, status, body, "application/json");
  }

  #answer(response: ServerResponse, status: number, body: string, type?: string): void {
    if (response.headersSent || response.destroyed) return;
    this.#counted(status);
    if (body === "") response.writeHead(status, { "content-length": 0 });
    else response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
    response.end(body);
  }
}

type Run = (this: DeviceHttp, exchange: Exchange, device: DeviceIdentity, body: Buffer) => Promise<void> | void;
const none = Buffer.alloc(0);
const text = "text/plain;charset=UTF-8";
const isCount = (digits: string) => /^\d{1,10}$/.test(digits);
const { telemetry, attributes, readAttributes, rpc, rpcReply, pollUpdates, pollRpc, claim, firmware, software } =
  DeviceHttp.prototype;
/** device-api 3.2; null-prototype, since the path comes from outside. */
const routes: Readonly<Record<string, Readonly<Record<string, Run>>>> = Object.assign(Object.create(null), {
  telemetry: { POST: telemetry },
  attributes: { POST: attributes, GET: readAttributes },
  "attributes/updates": { GET: pollUpdates },
  rpc: { POST: rpc, GET: pollRpc },
  "rpc/*": { POST: rpcReply },
  claim: { POST: claim },
  firmware: { GET: firmware },
  software: { GET: software },
});
