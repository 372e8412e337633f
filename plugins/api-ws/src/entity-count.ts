import type { CallOptions, EntityQueries, Principal, World } from "@heddle/plugin-sdk";
import type { CountCommand } from "./commands.ts";

export interface EntityCountOptions {
  readonly world: World;
  readonly queries: EntityQueries;
  readonly principal: Principal;
  readonly refreshMs: number;
  readonly call: CallOptions;
  send(text: string): void;
  failed(error: unknown): void;
}

/** A number of entities: told at once, then looked at every now and then and told when it has changed (websocket 6). */
export class EntityCount {
  readonly #options: EntityCountOptions;
  readonly #cmdId: number;
  #query: unknown;
  #told: number | undefined;
  #timer: Disposable | undefined;
  #closed = false;

  constructor({ cmdId, query }: CountCommand, options: EntityCountOptions) {
    this.#cmdId = cmdId;
    this.#query = query;
    this.#options = options;
  }

  /** The same command again, maybe with another query: nothing is told that has been told. */
  async ask(query: unknown = this.#query): Promise<void> {
    this.#query = query;
    const { queries, principal, call, send } = this.#options;
    const count = await queries.count(query, principal, call);
    if (this.#closed) return;
    if (count !== this.#told)
      send(JSON.stringify({ cmdId: this.#cmdId, count, errorCode: 0, errorMsg: null, cmdUpdateType: "COUNT_DATA" }));
    this.#told = count;
    this.#askLater();
  }

  #askLater(): void {
    const { world, refreshMs, failed } = this.#options;
    this.#timer?.[Symbol.dispose]();
    this.#timer = world.timer(refreshMs, () => {
      this.ask().then(undefined, (error: unknown) => {
        if (this.#closed) return;
        failed(error);
        this.#askLater();
      });
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }
}
