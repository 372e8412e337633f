import type { Log, World } from "@heddle/plugin-sdk";

const quietMs = 10_000;

/** Strangers decide how often they are refused, so each reason gets one line in ten seconds. */
export class RefusalLog {
  readonly #world: World;
  readonly #log: Log;
  readonly #said = new Map<string, { at: number; unsaid: number }>();

  constructor({ world, log }: { readonly world: World; readonly log: Log }) {
    this.#world = world;
    this.#log = log;
  }

  say(why: string, fields: { readonly remote: string; readonly message: string }): void {
    const now = this.#world.elapsed();
    const last = this.#said.get(why);
    if (last !== undefined && now - last.at < quietMs) {
      last.unsaid += 1;
      return;
    }
    this.#said.set(why, { at: now, unsaid: 0 });
    this.#log.warn("connection refused", { why, ...fields, alsoRefused: last?.unsaid ?? 0 });
  }
}
