import {
  Fault,
  type Health,
  type LaunchOptions,
  type Log,
  type Metric,
  type Onboarding,
  type OtaPackages,
  type ReadyNotes,
  type Sessions,
  type World,
} from "@heddle/plugin-sdk";
import { Blockwise } from "./blockwise.ts";
import { DeviceCoap } from "./device-coap.ts";
import { type ExchangeMetrics, Exchanges } from "./exchanges.ts";
import { Observers } from "./observers.ts";
import type { Request } from "./request.ts";
import type { Response } from "./response.ts";
import { UdpDatagrams } from "./udp.ts";
import { type Timed, TimerWheel } from "./wheel.ts";

export interface CoapConfig {
  readonly port: number;
  readonly host?: string | undefined;
  readonly receiveBuffer: number;
  readonly maxBody: number;
  readonly requestsPerPeer: number;
  readonly pendingBytes: number;
  readonly remembered: number;
  readonly rememberFor: number;
  readonly transfers: number;
  readonly transferBytes: number;
  readonly transferAge: number;
  readonly observers: number;
}

export interface CoapDeps {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly packages: OtaPackages;
  readonly notes: ReadyNotes;
  readonly launch: LaunchOptions;
}

export interface CoapMetrics extends ExchangeMetrics {
  readonly exchanges: Metric;
  readonly observers: Metric;
  readonly transfers: Metric;
}

/** Everything of one run of the listener, from `start` to `stop`. */
interface Run {
  readonly closed: AbortController;
  readonly udp: UdpDatagrams;
  readonly wheel: TimerWheel;
  readonly exchanges: Exchanges;
  readonly blockwise: Blockwise;
  readonly observers: Observers;
}

const housekeepingMs = 1_000;
const sendReason = { reason: "send" };

export class CoapServer {
  readonly #config: CoapConfig;
  readonly #deps: CoapDeps;
  readonly #metrics: CoapMetrics;
  #run: Run | undefined;

  constructor(config: CoapConfig, deps: CoapDeps, metrics: CoapMetrics) {
    this.#config = config;
    this.#deps = deps;
    this.#metrics = metrics;
  }

  get port(): number {
    if (this.#run === undefined) throw new Fault("unavailable", "coap.listen", "the listener has not started");
    return this.#run.udp.port;
  }

  async start(): Promise<void> {
    const host = this.#config.host ?? (this.#deps.launch.demo ? "127.0.0.1" : "0.0.0.0");
    const run = this.#assemble(host);
    await run.udp.open();
    run.wheel.start();
    this.#run = run;
    this.#housekeep(run);
    const shown = host.includes(":") ? `[${host}]` : host;
    const address = `coap://${shown}:${run.udp.port}`;
    this.#deps.log.info("listening", { address });
    const target = address.replace("//0.0.0.0", "//127.0.0.1");
    const example = `coap-client-notls -m POST ${target}/api/v1/{token}/telemetry -t json -e '{"temperature":27}'`;
    this.#deps.notes.add({ title: "CoAP", lines: [address], example });
  }

  async stop(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return;
    // Observers hear of it while there is a socket; then whoever still waits is let go.
    const left = run.observers.close();
    run.closed.abort(new Fault("unavailable", "coap.stopping", "the listener is stopping"));
    await left;
    run.wheel[Symbol.dispose]();
    await run.udp[Symbol.asyncDispose]();
    this.#deps.log.info("stopped");
  }

  health(): Health {
    const failure = this.#run?.udp.failure;
    return failure === undefined ? { state: "up" } : { state: "down", detail: `the socket failed: ${failure}` };
  }

  #assemble(host: string): Run {
    const { world, log, sessions, onboarding, packages } = this.#deps;
    const { port, receiveBuffer, observers: most } = this.#config;
    const closed = new AbortController();
    const { signal } = closed;
    const wheel = new TimerWheel(world);
    const udp: UdpDatagrams = new UdpDatagrams({
      port,
      host,
      receiveBuffer,
      log,
      receive: (bytes, from) => exchanges.receive(bytes, from),
      dropped: () => this.#metrics.dropped.record(1, sendReason),
    });
    const device: DeviceCoap = new DeviceCoap({
      ...{ world, log, sessions, onboarding, packages, signal },
      observers: () => observers,
    });
    const blockwise: Blockwise = new Blockwise({
      world,
      limits: this.#blockLimits(),
      handle: (request) => device.handle(request),
    });
    const exchanges: Exchanges = new Exchanges(
      {
        world,
        log,
        wheel,
        metrics: this.#metrics,
        limits: this.#exchangeLimits(),
        handle: (request) => blockwise.handle(request),
      },
      udp,
    );
    const cut = (request: Request, response: Response) => blockwise.cut(request, response);
    const observers: Observers = new Observers({ world, sessions, exchanges, most, signal, cut });
    return { closed, udp, wheel, exchanges, blockwise, observers };
  }

  #blockLimits() {
    const { maxBody, transfers, transferBytes, transferAge } = this.#config;
    return { body: maxBody, count: transfers, bytes: transferBytes, ms: transferAge };
  }

  #exchangeLimits() {
    const { requestsPerPeer, pendingBytes, remembered, rememberFor } = this.#config;
    return { perPeer: requestsPerPeer, pendingBytes, remembered, rememberMs: rememberFor };
  }

  #housekeep({ wheel, exchanges, blockwise, observers }: Run): void {
    const metrics = this.#metrics;
    const chore: Timed = {
      slot: undefined,
      expire: () => {
        exchanges.expire();
        blockwise.expire();
        observers.keep();
        metrics.exchanges.record(exchanges.open);
        metrics.observers.record(observers.size);
        metrics.transfers.record(blockwise.bytes);
        wheel.after(housekeepingMs, chore);
      },
    };
    wheel.after(housekeepingMs, chore);
  }
}
