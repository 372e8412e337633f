import {
  type DeviceIdentity,
  type Downlinks,
  Fault,
  type Session,
  type SessionEnd,
  type Sessions,
  type World,
} from "@heddle/plugin-sdk";

export interface PollOutcome {
  readonly status: number;
  readonly body: string;
}

interface Deps {
  readonly world: World;
  readonly sessions: Sessions;
}

interface PollOptions {
  readonly device: DeviceIdentity;
  readonly what: "attributes" | "rpc";
  readonly peer: string;
}

/** One long poll: a session that takes one thing and ends (device-api 3.4). */
export class LongPoll {
  readonly #deps: Deps;
  readonly #options: PollOptions;
  #resolve: (outcome: PollOutcome) => void = () => {};
  #settled = false;

  constructor(deps: Deps, options: PollOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** `gone` registers what to do when the client has left. */
  async run({
    waitMs,
    gone,
    stop,
  }: {
    waitMs: number;
    gone(run: () => void): void;
    stop: AbortSignal;
  }): Promise<PollOutcome> {
    const { device, what, peer } = this.#options;
    const outcome = new Promise<PollOutcome>((resolve) => {
      this.#resolve = resolve;
    });
    const end = new AbortController();
    const call = { signal: AbortSignal.any([end.signal, stop]) };
    const timer = this.#deps.world.timer(waitMs, () => this.#settle({ status: 408, body: "" }));
    gone(() => this.#settle({ status: 408, body: "" }));
    stop.addEventListener("abort", () => this.#settle({ status: 503, body: "" }), {
      once: true,
      signal: end.signal,
    });
    let session: Session | undefined;
    try {
      session = await this.#deps.sessions.open(
        device,
        { transport: "http", peer, poll: true },
        this.#downlinks(),
        call,
      );
      session.closed.addEventListener("abort", () => this.#ended(session?.closed.reason as SessionEnd), { once: true });
      await session.subscribe(what, true, call);
      return await outcome;
    } finally {
      timer[Symbol.dispose]();
      end.abort();
      await session?.[Symbol.asyncDispose]();
    }
  }

  #downlinks(): Downlinks {
    return {
      deliverAttributes: async (json) => this.#take(json),
      deliverRpc: async ({ requestId, method, params }) =>
        this.#take(`{"id":${requestId},"method":${JSON.stringify(method)},"params":${params}}`),
    };
  }

  /** A poll that has its outcome takes nothing: what is not delivered waits for the next one. */
  #take(body: string): void {
    if (this.#settled) throw new Fault("unavailable", "session.gone", "the poll has been answered already");
    this.#settle({ status: 200, body });
  }

  #settle(outcome: PollOutcome): void {
    this.#settled = true;
    this.#resolve(outcome);
  }

  /** Changed credentials do not end a poll early; it times out like any other. */
  #ended(end: SessionEnd | undefined): void {
    if (end?.reason === "deleted") this.#settle({ status: 403, body: "Device was deleted!" });
  }
}
