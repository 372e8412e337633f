import { codecsOf } from "@heddle/payload-codec";
import {
  type DeviceIdentity,
  type Downlinks,
  Fault,
  type Session,
  type SessionEnd,
  type SessionEndReason,
  type Sessions,
  type World,
} from "@heddle/plugin-sdk";
import type { Exchanges } from "./exchanges.ts";
import { formatOf } from "./formats.ts";
import { Observation } from "./observation.ts";
import type { Request } from "./request.ts";
import type { Response } from "./response.ts";
import { Sleeper } from "./sleeper.ts";

export type Observed = "attributes" | "rpc";

interface ObserversOptions {
  readonly world: World;
  readonly sessions: Sessions;
  readonly exchanges: Pick<Exchanges, "notify" | "forget">;
  /** Devices that observe at once. */
  readonly most: number;
  readonly signal: AbortSignal;
  cut(request: Request, response: Response): Response;
}

/** What a device observes, and the session in which both live (device-api 4.4). */
interface Observer {
  readonly session: Promise<Session>;
  readonly by: Map<Observed, Observation>;
  readonly sleeper: Sleeper;
}

/** How an observation ends; only `replaced` is given (device-api 4.3), the others tell the device why. */
const lastCodes: Readonly<Record<SessionEndReason, string>> = {
  replaced: "2.02",
  idle: "2.02",
  credentials: "4.01",
  deleted: "4.04",
  unconfirmed: "5.03",
  gateway: "5.03",
  leaving: "5.03",
};
/** An observer is not idle, however long nothing happens (device-api 4.3). */
const keepMs = 30_000;

export class Observers {
  readonly #options: ObserversOptions;
  readonly #devices = new Map<string, Observer>();
  #kept: number;

  constructor(options: ObserversOptions) {
    this.#options = options;
    this.#kept = options.world.elapsed();
  }

  get size(): number {
    return this.#devices.size;
  }

  /** `answer` gives the first response, once pushes are on their way. */
  async observe(
    request: Request,
    { device, what }: { device: DeviceIdentity; what: Observed },
    answer: (session: Session) => Promise<Response> | Response,
  ): Promise<Response> {
    const observer = this.#observerOf(device, request);
    const observation = this.#take(observer, { device, what, request });
    try {
      const session = await observer.session;
      await session.subscribe(what, true, this.#options);
      return observation.first(await answer(session));
    } catch (error) {
      this.#drop(device.deviceId, observer, { what, observation });
      throw error;
    }
  }

  /** False when there is no such observation. */
  cancel(request: Request, device: DeviceIdentity, what: Observed): boolean {
    const observer = this.#devices.get(device.deviceId);
    const observation = observer?.by.get(what);
    if (observer === undefined || observation === undefined || !observation.isOf(request)) return false;
    this.#drop(device.deviceId, observer, { what, observation });
    return true;
  }

  /** Something came from the device: what was held for it may go. */
  heard(deviceId: string): void {
    this.#devices.get(deviceId)?.sleeper.heard();
  }

  keep(): void {
    for (const { sleeper } of this.#devices.values()) sleeper.look();
    const now = this.#options.world.elapsed();
    if (now - this.#kept < keepMs) return;
    this.#kept = now;
    for (const { session } of this.#devices.values()) {
      session.then(
        (open) => open.touch(),
        () => {}, // Whoever asked to observe has been told.
      );
    }
  }

  async close(): Promise<void> {
    const observers = [...this.#devices.keys()];
    await Promise.allSettled(observers.map((deviceId) => this.#end(deviceId, lastCodes.leaving)));
  }

  #observerOf(device: DeviceIdentity, request: Request): Observer {
    const { deviceId } = device;
    const known = this.#devices.get(deviceId);
    if (known !== undefined) return known;
    const { sessions, most, signal } = this.#options;
    if (this.#devices.size >= most) {
      throw new Fault("exhausted", "coap.observers", `${most} devices observe already`);
    }
    const by = new Map<Observed, Observation>();
    const about = { transport: "coap", peer: request.from.key };
    const down: Downlinks = downlinksOf(by, { device, sleeper: () => sleeper });
    const session = sessions.open(device, about, down, { signal });
    const log = (line: string) => {
      // Who has no session any more sleeps unseen.
      session.then((open) => open.telemetry(Buffer.from(JSON.stringify({ transportLog: line })))).catch(() => {});
    };
    const sleeper = new Sleeper({ world: this.#options.world, session, log });
    const observer: Observer = { by, session, sleeper };
    this.#devices.set(deviceId, observer);
    observer.session.then(
      ({ closed }) => {
        const ended = () => this.#ended(deviceId, observer, closed.reason as SessionEnd);
        if (closed.aborted) ended();
        else closed.addEventListener("abort", ended, { once: true });
      },
      () => this.#forget(deviceId, observer), // `observe` awaits it too, and answers.
    );
    return observer;
  }

  /** The newest observation of a kind stays; an older one of another peer or token hears that it ended. */
  #take(
    observer: Observer,
    { device, what, request }: { device: DeviceIdentity; what: Observed; request: Request },
  ): Observation {
    const { exchanges, world, cut } = this.#options;
    const older = observer.by.get(what);
    const same = older?.isOf(request) ?? false;
    const observation: Observation = new Observation({
      request,
      exchanges,
      format: formatOf(device, request),
      sequence: same && older !== undefined ? older.sequence + 1 : 0,
      cut,
      now: () => world.now(),
      lost: () => this.#drop(device.deviceId, observer, { what, observation }),
    });
    observer.by.set(what, observation);
    older?.close(same ? undefined : lastCodes.replaced);
    return observation;
  }

  /** With the last observation ends the session. */
  #drop(
    deviceId: string,
    observer: Observer,
    { what, observation }: { what: Observed; observation: Observation },
  ): void {
    observation.close();
    if (observer.by.get(what) !== observation) return;
    observer.by.delete(what);
    if (observer.by.size === 0) void this.#end(deviceId);
    else {
      // Should it fail, pushes find no observation and are refused.
      observer.session.then((session) => session.subscribe(what, false, this.#options)).catch(() => {});
    }
  }

  async #end(deviceId: string, code?: string): Promise<void> {
    const observer = this.#devices.get(deviceId);
    if (observer === undefined) return;
    this.#forget(deviceId, observer);
    observer.sleeper.close();
    for (const observation of observer.by.values()) observation.close(code);
    const session = await observer.session.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
  }

  #ended(deviceId: string, observer: Observer, end: SessionEnd): void {
    this.#forget(deviceId, observer);
    observer.sleeper.close();
    for (const observation of observer.by.values()) observation.close(lastCodes[end.reason]);
  }

  #forget(deviceId: string, observer: Observer): void {
    if (this.#devices.get(deviceId) === observer) this.#devices.delete(deviceId);
  }
}

function downlinksOf(
  by: ReadonlyMap<Observed, Observation>,
  { device, sleeper }: { readonly device: DeviceIdentity; sleeper(): Sleeper },
): Downlinks {
  const push = (what: Observed, payload: Buffer): Promise<void> =>
    sleeper().push(() => {
      const observation = by.get(what);
      if (observation !== undefined) return observation.push(payload);
      return Promise.reject(new Fault("missing", "coap.not-observed", `the device does not observe its ${what}`));
    });
  const { profile } = codecsOf(device);
  return {
    deliverAttributes: async (json) => push("attributes", profile.attributesUpdate(json)),
    deliverRpc: async (request) => push("rpc", profile.rpcRequest(request, "withId")),
  };
}
