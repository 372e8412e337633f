import type { Log } from "@heddle/plugin-sdk";

export interface LogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that keeps its entries instead of printing them. */
export function quietLog(entries: LogEntry[] = []): Log & { readonly entries: readonly LogEntry[] } {
  const say =
    (level: LogEntry["level"]) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void entries.push({ level, message, fields });
  return {
    entries,
    child: () => quietLog(entries),
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
  };
}
