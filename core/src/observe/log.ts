import { isFault, type Log } from "@heddle/plugin-sdk";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogOptions {
  readonly level: LogLevel;
  /** JSON: one object per line; text: for people. */
  readonly format: "json" | "text";
  /** Gets whole lines with their line end. */
  readonly write: (line: string) => void;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
  readonly colors?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

const levels: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const maxTextChars = 4_096;
const maxDepth = 6;
const maxItems = 100;
const silent = (): void => {};

/** A log that writes one line per entry. Secrets print themselves as `***`; everything is bounded in size. */
export function createLog(options: LogOptions, name = ""): Log {
  const say = (level: LogLevel) => {
    if (levels[level] < levels[options.level]) return silent;
    const line = options.format === "json" ? jsonLine : textLine;
    return (message: string, fields?: Fields) => options.write(`${line({ level, name, message, fields, options })}\n`);
  };
  return {
    child: (inner) => createLog(options, name === "" ? inner : `${name}.${inner}`),
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
  };
}

interface LogEntry {
  readonly level: LogLevel;
  readonly name: string;
  readonly message: string;
  readonly fields: Fields | undefined;
  readonly options: LogOptions;
}

function jsonLine({ level, name, message, fields, options }: LogEntry): string {
  const time = new Date(options.now()).toISOString();
  const head = { time, level, ...(name === "" ? {} : { name }), message };
  const own = (printable(fields ?? {}, 0) ?? {}) as Record<string, unknown>;
  // A field must not hide what every line has.
  const rest = Object.entries(own).map(([key, value]) => [key in head || key === "name" ? `${key}_` : key, value]);
  return JSON.stringify({ ...head, ...Object.fromEntries(rest) });
}

const marks: Readonly<Record<LogLevel, string>> = {
  debug: "\u001b[2m",
  info: "\u001b[32m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
};

function textLine({ level, name, message, fields, options }: LogEntry): string {
  const time = new Date(options.now()).toISOString().slice(11, 23);
  const word = level.toUpperCase().padEnd(5);
  const shown = options.colors ? `${marks[level]}${word}\u001b[0m` : word;
  const own = printable(fields ?? {}, 0) as Record<string, unknown>;
  const data = Object.entries(own).map(([key, value]) => `${key}=${fieldText(value)}`);
  return [time, shown, ...(name === "" ? [] : [`${name}:`]), message, ...data].join(" ");
}

function fieldText(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

/** A copy that JSON can show: errors flattened, secrets masked, depth and length bounded. */
function printable(value: unknown, depth: number): unknown {
  if (typeof value === "string") return shortened(value);
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return typeof value === "function" ? "<function>" : value;
  if (value instanceof Error) return errorFields(value, depth);
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return printable(toJSON.call(value), depth + 1);
  if (depth >= maxDepth) return "…";
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => printable(item, depth + 1));
  const source =
    value instanceof Map ? [...value].map(([key, inner]) => [String(key), inner] as const) : Object.entries(value);
  return Object.fromEntries(source.slice(0, maxItems).map(([key, inner]) => [key, printable(inner, depth + 1)]));
}

/** The error and its causes side by side; the stack only of what is no fault, since a fault names its place itself. */
function errorFields(error: Error, depth: number): Record<string, unknown> {
  const causes: string[] = [];
  for (let cause = error.cause; cause !== undefined && causes.length < maxDepth; cause = (cause as Error).cause) {
    causes.push(shortened(cause instanceof Error ? cause.message : String(cause)));
    if (!(cause instanceof Error)) break;
  }
  const { code } = error as { code?: unknown };
  return {
    ...(error.name === "Error" || isFault(error) ? {} : { type: error.name }),
    ...(code === undefined ? {} : { code: String(code) }),
    message: shortened(error.message),
    ...(causes.length === 0 ? {} : { causes }),
    ...(isFault(error) && error.data !== undefined ? { data: printable(error.data, depth + 1) } : {}),
    ...(isFault(error) || error.stack === undefined ? {} : { stack: shortened(error.stack) }),
  };
}

function shortened(text: string): string {
  return text.length <= maxTextChars ? text : `${text.slice(0, maxTextChars)}… (${text.length} characters)`;
}
