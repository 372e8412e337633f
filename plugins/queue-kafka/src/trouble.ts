import type { Health, Log } from "@heddle/plugin-sdk";

/** What does not work at the moment, by part; each change is one line of the log. */
export class Trouble {
  readonly #log: Log;
  readonly #parts = new Map<string, { readonly detail: string; readonly down: boolean }>();

  constructor(log: Log) {
    this.#log = log;
  }

  begin(part: string, error: unknown, { down = false } = {}): void {
    const detail = error instanceof Error ? error.message : String(error);
    if (!this.#parts.has(part)) this.#log.warn("kafka trouble", { part, error: detail });
    this.#parts.set(part, { detail, down });
  }

  end(part: string): void {
    if (this.#parts.delete(part)) this.#log.info("kafka works again", { part });
  }

  health(): Health {
    const parts = [...this.#parts];
    if (parts.length === 0) return { state: "up" };
    const detail = parts.map(([part, { detail }]) => `${part}: ${detail}`).join("; ");
    return { state: parts.some(([, { down }]) => down) ? "down" : "degraded", detail };
  }
}
