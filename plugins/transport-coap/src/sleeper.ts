import { Fault, type Session, type World } from "@heddle/plugin-sdk";
import { isAwake, powerOf } from "./power.ts";

/** Pushes held for a device that sleeps; the oldest is given up for a newer one. */
const mostHeld = 100;

interface Held {
  send(): void;
  drop(error: Fault): void;
}

interface SleeperOptions {
  readonly world: World;
  readonly session: Promise<Session>;
  /** A line for the device's `transportLog`. */
  log(line: string): void;
}

/** Holds what is meant for a device while it sleeps (device-api 4.5). */
export class Sleeper {
  readonly #options: SleeperOptions;
  readonly #held: Held[] = [];
  #session: Session | undefined;
  #heardAt: number;
  #asleep = false;

  constructor(options: SleeperOptions) {
    this.#options = options;
    this.#heardAt = options.world.elapsed();
    options.session.then(
      (session) => {
        this.#session = session;
      },
      // Whoever asked to observe has been told.
      () => {},
    );
  }

  /** Sends now, or when the device can be reached. */
  push(send: () => Promise<void>): Promise<void> {
    if (this.#isAwake) return send();
    this.#sleeps();
    return new Promise((resolve, reject) => {
      if (this.#held.length >= mostHeld) this.#held.shift()?.drop(tooMany());
      this.#held.push({ send: () => send().then(resolve, reject), drop: reject });
    });
  }

  /** The device has said something. */
  heard(): void {
    this.#heardAt = this.#options.world.elapsed();
    this.look();
  }

  /** Sends what is held when the device can be reached by now. */
  look(): void {
    if (!this.#isAwake) return this.#sleeps();
    if (this.#asleep) {
      this.#asleep = false;
      this.#options.log("Info: Client is awake!");
    }
    for (const held of this.#held.splice(0)) held.send();
  }

  close(): void {
    const gone = new Fault("unavailable", "coap.observer-lost", "the observer has left while it slept");
    for (const held of this.#held.splice(0)) held.drop(gone);
  }

  get #isAwake(): boolean {
    if (this.#session === undefined) return true;
    return isAwake(powerOf(this.#session.device), this.#options.world.elapsed() - this.#heardAt);
  }

  #sleeps(): void {
    if (this.#asleep) return;
    this.#asleep = true;
    this.#options.log("Info: Client is sleeping!");
  }
}

function tooMany(): Fault {
  return new Fault("exhausted", "coap.observer-slow", `${mostHeld} pushes wait for a device that sleeps`);
}
