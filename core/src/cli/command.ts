import { parseArgs } from "node:util";
import type { BuiltIn } from "../host/distribution.ts";

/** Exit codes of the command; stable. */
export const exit = { ok: 0, problems: 1, usage: 2, startFailed: 3, unreachable: 4, internal: 70 } as const;

/** What a command reads and writes; tests bring their own. */
export interface Terminal {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** The vertices that a node adds to every distribution. */
  readonly builtIns: () => Promise<readonly BuiltIn[]>;
}

export interface CommandLine {
  readonly positionals: readonly string[];
  readonly set: readonly string[];
  readonly json: boolean;
  readonly demo: boolean;
  readonly connect: boolean;
  /** Where a running node answers, such as `http://127.0.0.1:8080`. */
  readonly url: string | undefined;
}

export type Command = (line: CommandLine, terminal: Terminal) => Promise<number>;

/** The command line was not understood; the message is for the person who typed it. */
export class UsageError extends Error {}

const flags = {
  set: { type: "string", multiple: true },
  json: { type: "boolean" },
  demo: { type: "boolean" },
  connect: { type: "boolean" },
  url: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

export type Flag = Exclude<keyof typeof flags, "help" | "version">;

export interface ParsedArgs {
  readonly positionals: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
  /** Names of the flags that were given. */
  readonly given: readonly string[];
  readonly line: CommandLine;
}

export function parse(args: readonly string[]): ParsedArgs {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: flags, allowPositionals: true });
    const { set = [], json = false, demo = false, connect = false, url, help = false, version = false } = values;
    const line = { positionals, set, json, demo, connect, url };
    return { positionals, help, version, given: Object.keys(values), line };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
