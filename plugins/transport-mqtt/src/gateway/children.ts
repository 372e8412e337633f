import { asFault, type ChildName, type Downlinks, Fault, type Session } from "@heddle/plugin-sdk";
import type { Wire } from "../wire.ts";

/** Sessions that may be lost on the way of one message. */
const mostAttempts = 3;

interface Child {
  readonly opening: Promise<Session>;
  /** Once it is open: what follows then needs no promise to keep its place. */
  session: Session | undefined;
}

interface Parts {
  /** Of the gateway. */
  readonly session: Session;
  downlinks(name: string): Downlinks;
}

/** The sessions of the devices behind one gateway: the first message for a name opens one (device-api 2.9). */
export class Children {
  readonly #wire: Wire;
  readonly #parts: Parts;
  readonly #byName = new Map<string, Child>();
  #closed = false;

  constructor(wire: Wire, parts: Parts) {
    this.#wire = wire;
    this.#parts = parts;
  }

  /**
   * Calls for one name run in the order in which they were made. A session that was taken over meanwhile, by a connection
   * of the device or by another gateway, is opened anew.
   */
  with<R>(name: ChildName, run: (session: Session) => Promise<R>, attempts = mostAttempts): Promise<R> {
    const child = this.#byName.get(name.name) ?? this.#open(name);
    const ran = child.session === undefined ? child.opening.then(run) : run(child.session);
    return ran.catch((error: unknown) => {
      const lost = child.session?.closed.aborted === true && !this.#parts.session.closed.aborted;
      if (!lost || attempts === 1) throw error;
      return this.with(name, run, attempts - 1);
    });
  }

  /** True when the name was connected. */
  async disconnect(name: string): Promise<boolean> {
    const child = this.#byName.get(name);
    if (child === undefined) return false;
    this.#byName.delete(name);
    const session = await child.opening.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
    return true;
  }

  get connected(): Session[] {
    return [...this.#byName.values()].flatMap(({ session }) => session ?? []);
  }

  /** Their sessions end with the gateway's own. */
  close(): void {
    this.#closed = true;
    this.#byName.clear();
  }

  #open(name: ChildName): Child {
    const { children } = this.#wire.common.limits;
    if (this.#byName.size >= children) {
      throw new Fault("denied", "gateway.full", `the gateway has ${children} connected devices, the limit`);
    }
    const child: Child = { opening: this.#connect(name), session: undefined };
    this.#byName.set(name.name, child);
    const forget = () => {
      if (this.#byName.get(name.name) === child) this.#byName.delete(name.name);
    };
    child.opening.then((session) => {
      child.session = session;
      // Replaced, deleted, re-credited: silently; the next message connects it anew.
      session.closed.addEventListener("abort", forget, { once: true });
      if (session.closed.aborted) forget();
    }, forget);
    return child;
  }

  async #connect(name: ChildName): Promise<Session> {
    const { session: gateway } = this.#parts;
    const { sessions, onboarding } = this.#wire.common;
    const call = { signal: gateway.closed };
    const who = await onboarding.adopt(gateway.device, name, call);
    const about = { transport: "mqtt", peer: "", through: gateway };
    const session = await sessions.open(who, about, this.#parts.downlinks(name.name), call);
    if (this.#closed) await session[Symbol.asyncDispose]();
    else await this.#subscribe(session);
    return session;
  }

  /** Children are subscribed to what their gateway is there for. */
  async #subscribe(session: Session): Promise<void> {
    const call = { signal: session.closed };
    try {
      await Promise.all([session.subscribe("attributes", true, call), session.subscribe("rpc", true, call)]);
    } catch (error) {
      if (!session.closed.aborted) throw asFault(error);
    }
  }
}
