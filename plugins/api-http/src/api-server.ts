import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import {
  type CallOptions,
  Fault,
  type HttpListener,
  isFault,
  type Plain,
  type Principal,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { errorAnswer } from "./answers.ts";
import { corsHeaders, preflightHeaders, securityHeaders } from "./headers.ts";
import { type Answer, type Exchange, forbidden, type Operation, uuidOf } from "./operation.ts";
import type { Services } from "./services.ts";
import { signedIn } from "./sign-in.ts";
import { Upload, withForms } from "./uploads.ts";
import { checkBody, checkQuery } from "./validation.ts";

const base = "/api";
/** A client that reads its answer slower than this is cut off. */
const longestTransferMs = 3_600_000;
const methods = ["GET", "POST", "PUT", "DELETE"] as const;

export interface ApiConfig {
  readonly maxBody: number;
  readonly requests: number;
  readonly timeout: number;
}

type Used = Pick<Services, "world" | "log" | "identity" | "apiKeys">;

/** Requests from the shared listener to operations and back. */
export class ApiServer {
  readonly #config: ApiConfig;
  readonly #services: Used;
  readonly #counted: (status: number) => void;
  #app: FastifyInstance | undefined;
  #mount: Disposable | undefined;
  #open = 0;

  constructor(config: ApiConfig, services: Used, counted: (status: number) => void) {
    this.#config = config;
    this.#services = services;
    this.#counted = counted;
  }

  async start(http: HttpListener, operations: readonly Operation[]): Promise<void> {
    const { fastify } = await import("fastify");
    const app = fastify({
      bodyLimit: this.#config.maxBody,
      routerOptions: { maxParamLength: 512, ignoreTrailingSlash: true },
      exposeHeadRoutes: true,
    });
    this.#app = app;
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    this.#route(app, operations);
    await withForms(app, (scope) => {
      for (const operation of operations) if (operation.multipart === true) this.#handle(scope, operation);
    });
    app.setNotFoundHandler(async (request, reply) => {
      const path = request.url.split("?", 1)[0]?.slice(1) ?? "";
      await this.#answered(request, reply, async (call) => {
        await signedIn(request.headers, this.#services, call);
        throw new Fault("missing", "api.path", `No static resource ${path}.`);
      });
    });
    app.setErrorHandler((error, _request, reply) => this.#refuse(reply, httpFault(error, this.#config.maxBody)));
    await app.ready();
    this.#mount = http.mount(base, (request, response) => this.#take(request, response));
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined) {
      response.writeHead(200, { ...securityHeaders, ...preflightHeaders(request.headers), "content-length": 0 });
      response.end();
      return;
    }
    this.#app?.routing(request, response);
  }

  #route(app: FastifyInstance, operations: readonly Operation[]): void {
    const byPath = new Map<string, Operation[]>();
    for (const operation of operations) byPath.set(operation.path, [...(byPath.get(operation.path) ?? []), operation]);
    for (const [url, known] of byPath) {
      for (const operation of known) if (operation.multipart !== true) this.#handle(app, operation);
      const others = methods.filter((method) => !known.some((operation) => operation.method === method));
      if (others.length > 0)
        app.route({ method: others, url, handler: (request, reply) => this.#wrongMethod(known, request, reply) });
    }
  }

  #handle(app: FastifyInstance, operation: Operation): void {
    const { method, path: url } = operation;
    app.route({ method, url, handler: (request, reply) => this.#run(operation, request, reply) });
  }

  #wrongMethod(known: readonly Operation[], request: FastifyRequest, reply: FastifyReply): Promise<void> {
    return this.#answered(request, reply, async (call) => {
      if (known.every(({ who }) => who !== "anyone")) await signedIn(request.headers, this.#services, call);
      const login = known.some(({ path }) => path === "/api/auth/login" || path === "/api/auth/token");
      if (login) throw new Fault("denied", "identity.method", "Authentication method not supported");
      const data = { status: 405 };
      throw new Fault("invalid", "api.method", `Request method '${request.method}' is not supported`, { data });
    });
  }

  async #run(operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const upload = new Upload(request);
    const run = async (call: CallOptions) => {
      const principal = await this.#principal(operation, request, call);
      return operation.run(exchangeOf({ operation, request, principal, call, upload }));
    };
    await this.#answered(request, reply, run, operation.untimed);
    upload.close();
  }

  async #principal(operation: Operation, request: FastifyRequest, call: CallOptions): Promise<Principal | undefined> {
    if (operation.who === "anyone") return undefined;
    const principal = await signedIn(request.headers, this.#services, call);
    if (!operation.who.includes(principal.authority)) throw forbidden();
    return principal;
  }

  /** Runs with a signal that aborts when the client goes or the time is up, and answers once. */
  async #answered(
    request: FastifyRequest,
    reply: FastifyReply,
    run: (call: CallOptions) => Promise<Answer | undefined>,
    untimed = false,
  ): Promise<void> {
    const end = new AbortController();
    const gone = () => {
      if (!reply.raw.writableEnded) end.abort(new Fault("unavailable", "api.gone", "the client has gone"));
    };
    reply.raw.once("close", gone);
    const timeout = () => end.abort(new Fault("unavailable", "api.timeout", "Request timeout"));
    const timer = untimed ? undefined : this.#services.world.timer(this.#config.timeout, timeout);
    this.#open++;
    try {
      if (this.#open > this.#config.requests) {
        throw new Fault("unavailable", "api.busy", `more than ${this.#config.requests} requests are in progress`);
      }
      const answer = await run({ signal: end.signal });
      if (answer?.bytes === undefined) this.#send(request, reply, answer);
      else {
        // How long it takes is up to the client from here on.
        timer?.[Symbol.dispose]();
        await this.#stream(request, reply, { ...answer, bytes: answer.bytes });
      }
    } catch (error) {
      this.#refuse(reply, error);
    } finally {
      this.#open--;
      timer?.[Symbol.dispose]();
    }
  }

  #send(request: FastifyRequest, reply: FastifyReply, answer: Answer | undefined): void {
    const { status = 200, json, text, type, headers } = answer ?? {};
    const raw = answer?.raw ?? (json === undefined ? undefined : writeTypedJson(json as Plain));
    this.#counted(status);
    reply.code(status).headers({ ...securityHeaders, ...corsHeaders(request.headers), ...headers });
    if (raw !== undefined) reply.header("content-type", "application/json").send(raw);
    else if (text !== undefined) reply.header("content-type", type ?? "text/plain;charset=UTF-8").send(text);
    else reply.send();
  }

  /** Resolves when the client has everything, or has gone. */
  async #stream(
    request: FastifyRequest,
    reply: FastifyReply,
    { bytes, type, headers }: Answer & { readonly bytes: AsyncIterable<Uint8Array> },
  ): Promise<void> {
    this.#counted(200);
    reply.headers({ ...securityHeaders, ...corsHeaders(request.headers), ...headers });
    reply.header("content-type", type ?? "application/octet-stream");
    // Without a payload the length of the answer would become that of nothing.
    if (request.method === "HEAD") return void reply.send(Readable.from([]));
    const sent = new Promise<void>((resolve) => reply.raw.once("close", resolve));
    const cut = this.#services.world.timer(longestTransferMs, () => reply.raw.destroy());
    reply.send(Readable.from(bytes, { objectMode: false }));
    await sent;
    cut[Symbol.dispose]();
  }

  #refuse(reply: FastifyReply, error: unknown): void {
    if (reply.raw.destroyed || reply.sent) return;
    if (!isFault(error) || error.kind === "internal") {
      this.#services.log.error("request failed", { path: reply.request.routeOptions.url, error });
    }
    const { status, text, plain, retryAfterMs } = errorAnswer(error, this.#services.world.now());
    this.#counted(status);
    reply.code(status).headers({ ...securityHeaders, ...corsHeaders(reply.request.headers) });
    if (retryAfterMs !== undefined) reply.header("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
    reply.header("content-type", plain ? "text/plain;charset=UTF-8" : "application/json").send(text);
  }

  async stop(): Promise<void> {
    this.#mount?.[Symbol.dispose]();
    await this.#app?.close();
    this.#app = undefined;
  }
}

/** What fastify itself refuses. */
function httpFault(error: unknown, maxBody: number): unknown {
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (statusCode === undefined || statusCode >= 500) return error;
  const tooLarge = code === "FST_ERR_CTP_BODY_TOO_LARGE";
  const message = tooLarge ? `Request body is larger than ${maxBody} bytes` : "The request cannot be read";
  return new Fault("invalid", "api.request", message, { data: { status: statusCode } });
}

function exchangeOf(from: {
  readonly operation: Operation;
  readonly request: FastifyRequest;
  readonly principal: Principal | undefined;
  readonly call: CallOptions;
  readonly upload: Upload;
}): Exchange {
  const { operation, request, principal, call, upload } = from;
  const params = request.params as Readonly<Record<string, string>>;
  const param = (name: string) => params[name] ?? "";
  if (operation.query !== undefined) checkQuery(operation.query, request.query);
  return {
    get principal(): Principal {
      if (principal === undefined) throw forbidden();
      return principal;
    },
    body: bodyOf(operation, request),
    query: request.query,
    headers: request.headers,
    call,
    get base(): string {
      const forwarded = request.headers["x-forwarded-proto"];
      const scheme = typeof forwarded === "string" ? forwarded.split(",", 1)[0] : request.protocol;
      return `${scheme}://${request.headers["x-forwarded-host"] ?? request.headers.host ?? ""}`;
    },
    upload: () => upload.open(),
    param,
    id: (name) => uuidOf(param(name)),
  };
}

function bodyOf(operation: Operation, request: FastifyRequest): unknown {
  const text = Buffer.isBuffer(request.body) ? request.body.toString("utf8") : "";
  if (operation.body === undefined) return text;
  const type = request.headers["content-type"];
  if (
    operation.anyType !== true &&
    text !== "" &&
    type !== undefined &&
    !/^application\/(?:[\w.-]+\+)?json/i.test(type)
  ) {
    throw new Fault("invalid", "api.type", `Content-Type '${type.slice(0, 100)}' is not supported`, {
      data: { status: 415 },
    });
  }
  const body = parsed(text, operation);
  checkBody(operation.body, body);
  return body;
}

function parsed(text: string, operation: Operation): unknown {
  if (text === "" && operation.emptyBody !== undefined) return operation.emptyBody;
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (operation.brokenBody !== undefined) return operation.brokenBody;
    const problem = text === "" ? "Required request body is missing" : "Request body is not JSON";
    throw new Fault("invalid", "api.json", problem, { cause });
  }
}
