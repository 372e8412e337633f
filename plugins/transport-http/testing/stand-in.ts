import { createServer, type IncomingHttpHeaders, request as send } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import type { HttpHandler, HttpListener, Sessions } from "@heddle/plugin-sdk";
import { configOf, FakeOnboarding, FakePackages, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { DeviceHttp } from "../src/device-http.ts";
import card from "../src/index.ts";

/** A listener with one mount. */
export class OneMount implements HttpListener {
  #handle: HttpHandler | undefined;
  readonly #server = createServer((request, response) => {
    if (this.#handle === undefined) response.writeHead(404).end();
    else this.#handle(request, response);
  });

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get address() {
    return { host: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  mount(_prefix: string, handle: HttpHandler): Disposable {
    this.#handle = handle;
    return {
      [Symbol.dispose]: () => {
        this.#handle = undefined;
      },
    };
  }

  upgrade(): Disposable {
    throw new Error("not used");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface Running extends AsyncDisposable {
  readonly port: number;
  readonly api: DeviceHttp;
  readonly statuses: number[];
  readonly onboarding: FakeOnboarding;
  readonly packages: FakePackages;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: string | Buffer, headers?: Record<string, string>): Promise<Answer>;
  raw(): Socket;
}

/** The transport on a free port. */
export async function running(sessions: Sessions, config: Record<string, unknown> = {}): Promise<Running> {
  const http = new OneMount();
  await http.listen();
  const statuses: number[] = [];
  const settings = configOf(card, config) as unknown as ConstructorParameters<typeof DeviceHttp>[0];
  const onboarding = new FakeOnboarding();
  const packages = new FakePackages();
  const deps = { world: realWorld(), log: silentLog, http, sessions, onboarding, packages };
  const api = new DeviceHttp(settings, deps, (status) => statuses.push(status));
  api.start();
  const { port } = http.address;
  return {
    port,
    api,
    statuses,
    onboarding,
    packages,
    get: (path, headers) => exchange({ port, path, method: "GET", headers: headers ?? {} }),
    post: (path, body, headers) => exchange({ port, path, method: "POST", headers: headers ?? {} }, body),
    raw: () => connect(port, "127.0.0.1").on("error", () => undefined),
    [Symbol.asyncDispose]: async () => {
      api.stop();
      await http[Symbol.asyncDispose]();
    },
  };
}

function exchange(
  options: { port: number; path: string; method: string; headers?: Record<string, string> },
  body?: string | Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = send({ host: "127.0.0.1", ...options, path: `/api/v1${options.path}` }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString(),
          type: response.headers["content-type"],
          headers: response.headers,
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

export const soon = (ms = 30) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function until(holds: () => boolean, withinMs = 3_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error("did not come about in time");
    await soon(5);
  }
}
